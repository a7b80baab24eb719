// What Bokeh draws otherwise than a reader expects, mended in the one place that all pages share.
"use strict"

document.addEventListener("DOMContentLoaded", () => {
  // A canvas is moved by half a pixel before it is cleared, so that the first half of its leftmost column and of
  // its topmost row keep what was painted there: fragments of text after a change of the layout. All is cleared.
  const whole = (layer) => {
    const clear = layer.clear
    layer.clear = function () {
      clear.call(this)
      const {canvas} = this
      if (canvas instanceof HTMLCanvasElement) this.undo_transform((ctx) => ctx.clearRect(0, 0, canvas.width, canvas.height))
    }
  }
  const view = Bokeh.Models.Canvas.prototype.default_view.prototype, {initialize} = view
  view.initialize = function () {
    initialize.call(this)
    whole(this.primary)
    whole(this.overlays)
  }

  // A legend that is marked so takes nothing from the plot below it: the figure grows by its height. That is
  // the browser's affair, since how many lines it has hangs on the width.
  const legend = Bokeh.Models.Legend.prototype.default_view.prototype, {_get_size} = legend
  legend._get_size = function () {
    const size = _get_size.call(this), [grows, height] = this.model.tags, plot = this.plot_view.model
    if (grows === "grows" && plot.height !== height + Math.round(size.height)) {
      requestAnimationFrame(() => plot.setv({height: height + Math.round(size.height)}, {sync: false}))
    }
    return size
  }

  // What is not known is a dash in a tip, as it is in a table; Bokeh writes NaN or ???.
  const hover = Bokeh.Models.HoverTool.prototype.default_view.prototype, {_render_tooltips} = hover
  hover._render_tooltips = function (...of) {
    const tip = _render_tooltips.apply(this, of)
    if (tip instanceof Node) {
      const texts = document.createTreeWalker(tip, NodeFilter.SHOW_TEXT)
      while (texts.nextNode()) {
        if (/^(NaN|\?\?\?)$/.test(texts.currentNode.data.trim())) texts.currentNode.data = "–"
      }
    }
    return tip
  }
})
