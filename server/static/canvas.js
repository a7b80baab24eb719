// Bokeh moves a canvas by half a pixel before it clears it, so that the first half of its leftmost column and of
// its topmost row keep what was painted there: fragments of text after a change of the layout. Here all is cleared.
"use strict"

document.addEventListener("DOMContentLoaded", () => {
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
})
