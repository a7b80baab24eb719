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
