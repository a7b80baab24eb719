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

  // Scroll bars may hide themselves: what goes on beside the edge fades there. Returns where it does, "left",
  // "right" or both, whenever that changes. faded: the element that fades, which may hold a head, too.
  const sideways = (scroller, faded, told = () => {}) => {
    const look = () => {
      const {scrollLeft, clientWidth, scrollWidth} = scroller
      const left = scrollLeft > 1, right = scrollLeft + clientWidth < scrollWidth - 1
      const [first, last] = [left, right].map((more) => (more ? "transparent" : "#000"))
      const mask = `linear-gradient(to right, ${first}, #000 32px, #000 calc(100% - 32px), ${last})`
      faded.style.maskImage = left || right ? mask : ""
      scroller.dataset.more = [left && "left", right && "right"].filter(Boolean).join(" ")
      told(left, right)
    }
    const watch = new ResizeObserver(look)
    // What a Bokeh layout holds lies in its shadow.
    for (const element of [scroller, ...scroller.children, ...(scroller.shadowRoot?.children ?? [])]) watch.observe(element)
    scroller.addEventListener("scroll", look, {passive: true})
    look()
  }
  sideways(document.querySelector(".gd-header nav"), document.querySelector(".gd-header nav"))

  const table = Bokeh.Models.DataTable.prototype.default_view.prototype, {_render_table} = table
  table._render_table = function () {
    _render_table.call(this)
    const scroller = this.grid?.getCanvasNode()?.parentElement
    if (scroller == null || scroller.dataset.more != null) return
    this.shadow_el.querySelector(".gd-more")?.remove()
    const more = document.createElement("button")
    Object.assign(more, {className: "gd-more", textContent: "›", title: "More columns: scroll sideways"})
    more.onclick = () => scroller.scrollBy({left: 0.7 * scroller.clientWidth})
    this.shadow_el.append(more)
    sideways(scroller, this.wrapper_el, (left, right) => (more.hidden = !right))
  }
  for (const {prototype: {default_view: {prototype: box}}} of [Bokeh.Models.Column, Bokeh.Models.Row]) {
    const {_after_render} = box
    box._after_render = function () {
      _after_render.call(this)
      if (this.model.css_classes.includes("gd-scroll")) sideways(this.el, this.el)
    }
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
