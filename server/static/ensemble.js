// One selection of an ensemble's runs, drawn by every view at once. Brushes and clicks are answered here; the
// session is told when the pointer is let go (server/pages/ensemble/shared.py), and computes the same from the same
// text (server/pages/ensemble/selection.py).
"use strict"

gdlab.ensemble = (() => {
  const MISSING = -0.1 // where a line passes an axis on which its run has no value
  const REACH = 0.3 // of the distance of two axes: so far from an axis a brush is still meant for it
  const EDGE = 7 // px within which a brush's end is taken hold of
  const NEAR = 9 // px within which a click means a line or a point
  const MOST = 6, MOST_FOCUS = 4
  const SPAN = 1.34 // of the parallel coordinates' vertical range, the axes themselves being 1
  const BRUSHED = "ensemble_parallel", REST = 120 // ms
  const painters = new Map() // hub's id -> Map(name -> paint(kit, scene))
  const live = new Map() // hub's id -> text, while the pointer is down
  const waiting = new Map() // hub's id -> timer of the views that follow
  const kept = new Map() // hub's id -> {text, data, axes, hues, scene}

  // -- state --------------------------------------------------------------------------------------

  const column = (source, name) => source.get_column(name) ?? []
  const plain = (source) => source.data instanceof Map ? Object.fromEntries(source.data) : {...source.data}
  const text_of = ({hub}) => live.get(hub.id) ?? column(hub, "state")[0]
  // What the browser draws is its own affair: the session is not told.
  const draw = (source, data) => source.setv({data}, {sync: false, check_eq: false})

  const rows = (axes) => {
    const [place, low, high, log] = ["place", "low", "high", "log"].map((name) => column(axes, name))
    return Array.from(column(axes, "name"), (name, i) => ({name, place: place[i], low: low[i], high: high[i], log: log[i] === 1}))
  }

  const clamp = (axis, value) => Math.min(Math.max(value, axis.low), axis.high)

  const unit = (axis, value) => {
    const v = clamp(axis, value)
    return axis.log ? Math.log(v / axis.low) / Math.log(axis.high / axis.low) : (v - axis.low) / (axis.high - axis.low)
  }

  const value_at = (axis, u) => axis.log ? axis.low * (axis.high / axis.low) ** u : axis.low + u * (axis.high - axis.low)

  // mask: bits of the selections of each run; first: the selection that colours it, or -1.
  const scene = (kit) => {
    const {hub, runs, axes} = kit
    const text = text_of(kit), hues = column(hub, "hues")[0], old = kept.get(hub.id)
    if (old != null && old.text === text && old.hues === hues && old.data === runs.data && old.axes === axes.data) return old.scene
    const state = JSON.parse(text), table = rows(axes), colours = JSON.parse(hues)
    const keys = Array.from(column(runs, "key")), count = keys.length
    const places = new Map(keys.map((key, i) => [key, i]))
    const mask = new Uint8Array(count), first = new Int8Array(count).fill(-1)
    state.selections.forEach((choice, s) => {
      const inside = members(choice, table, runs, count, places)
      for (let i = 0; i < count; i++) {
        if (!inside[i]) continue
        mask[i] |= 1 << s
        if (first[i] < 0 || s === state.active) first[i] = s
      }
    })
    const colour = (s) => colours[state.selections[s]?.hue ?? MOST]
    const found = {state, axes: table, keys, places, count, mask, first, colour, some: first.some((s) => s >= 0), grey: colours[MOST]}
    kept.set(hub.id, {text, hues, data: runs.data, axes: axes.data, scene: found})
    return found
  }

  const members = (choice, table, runs, count, places) => {
    const brushes = table.filter(({name}) => name in choice.brushes)
    const inside = new Uint8Array(count).fill(brushes.length > 0 ? 1 : 0)
    for (const axis of brushes) {
      const values = column(runs, `v:${axis.name}`)
      const [low, high] = choice.brushes[axis.name].map((end, i) => end ?? [-Infinity, Infinity][i])
      for (let i = 0; i < count; i++) {
        const v = clamp(axis, values[i])
        if (!(v >= low && v <= high)) inside[i] = 0
      }
    }
    for (const [keys, wanted] of [[choice.plus, 1], [choice.minus, 0]]) {
      for (const key of keys) if (places.has(key)) inside[places.get(key)] = wanted
    }
    return inside
  }

  // The view that is brushed answers at once; the others follow, one a frame, when the pointer rests.
  const paint = (kit) => {
    const mine = painters.get(kit.hub.id)
    if (mine == null) return
    mine.get(BRUSHED)?.(kit, scene(kit))
    clearTimeout(waiting.get(kit.hub.id))
    waiting.set(kit.hub.id, setTimeout(() => follow(kit, [...mine.keys()].filter((name) => name !== BRUSHED)), REST))
  }

  const in_sight = (name) => {
    const model = Bokeh.documents[0].get_model_by_name(`${name}_figure`)
    const box = model == null ? null : Bokeh.index.find_one(model)?.el.getBoundingClientRect()
    return box != null && box.top < innerHeight && box.bottom > 0
  }

  const follow = (kit, [name, ...rest]) => {
    // While the pointer is down, what is out of sight waits until it is let go.
    if (!live.has(kit.hub.id) || in_sight(name)) painters.get(kit.hub.id).get(name)?.(kit, scene(kit))
    if (rest.length > 0) requestAnimationFrame(() => follow(kit, rest))
  }

  // Registers what draws a view, and draws it; called whenever the view's own data are others.
  const view = (kit, name, one) => {
    if (!painters.has(kit.hub.id)) painters.set(kit.hub.id, new Map())
    painters.get(kit.hub.id).set(name, one)
    if (column(kit.runs, "key").length > 0) one(kit, scene(kit))
  }

  const told = (kit) => {
    live.delete(kit.hub.id)
    paint(kit)
  }

  // done: the session learns of it.
  const put = (kit, state, done) => {
    const text = JSON.stringify(state)
    if (!done) {
      live.set(kit.hub.id, text)
      return paint(kit)
    }
    live.delete(kit.hub.id)
    if (column(kit.hub, "state")[0] === text) paint(kit)
    else kit.hub.data = {...plain(kit.hub), state: [text]}
  }

  // The active selection of a copy of the state, made where there is none.
  const editable = (kit) => {
    const state = structuredClone(scene(kit).state)
    if (state.selections.length === 0) {
      state.selections.push({name: "Selection 1", hue: 0, brushes: {}, plus: [], minus: []})
      state.active = 0
    }
    return [state, state.selections[state.active]]
  }

  // Takes runs into the active selection, or out of it where all of them belong to it (add: never out).
  const toggle = (kit, indices, add = false) => {
    if (indices.length === 0) return
    const [state, choice] = editable(kit)
    const now = scene(kit), bit = 1 << state.active
    const all = indices.every((i) => (now.mask[i] & bit) !== 0)
    const keys = new Set(indices.map((i) => now.keys[i]))
    if (all && add) return
    choice.plus = choice.plus.filter((key) => !keys.has(key))
    choice.minus = choice.minus.filter((key) => !keys.has(key))
    const bare = members(choice, now.axes, kit.runs, now.count, now.places)
    for (const i of indices) {
      if (!all && !bare[i]) choice.plus.push(now.keys[i])
      if (all && bare[i]) choice.minus.push(now.keys[i])
    }
    state.focus = state.focus.filter((key) => !keys.has(key))
    if (!all) state.focus = [...indices.slice(0, MOST_FOCUS).map((i) => now.keys[i]), ...state.focus].slice(0, MOST_FOCUS)
    put(kit, state, true)
  }

  // -- parallel coordinates -----------------------------------------------------------------------

  const seen = (table) => table.filter(({place}) => place >= 0).sort((a, b) => a.place - b.place)

  const polylines = (kit, now) => {
    const table = seen(now.axes), xs = table.map(({place}) => place)
    const units = table.map((axis) => Float64Array.from(column(kit.runs, `v:${axis.name}`), (value) => unit(axis, value)))
    const ys = Array.from({length: now.count}, (_, i) => units.map((each) => Number.isNaN(each[i]) ? MISSING : each[i]))
    return {xs, ys}
  }

  const brush_boxes = (now) => {
    const data = {left: [], right: [], top: [], bottom: [], colour: [], alpha: []}
    for (const axis of seen(now.axes)) {
      now.state.selections.forEach((choice, s) => {
        const ends = choice.brushes[axis.name]
        if (ends == null) return
        const mine = s === now.state.active, wide = mine ? 0.1 : 0.06
        data.left.push(axis.place - wide)
        data.right.push(axis.place + wide)
        data.bottom.push(ends[0] == null ? 0 : unit(axis, ends[0]))
        data.top.push(ends[1] == null ? 1 : unit(axis, ends[1]))
        data.colour.push(now.colour(s))
        data.alpha.push(mine ? 0.34 : 0.18)
      })
    }
    return data
  }

  const parallel = (kit, {all, chosen, brushes}) => {
    let made = null
    return (_, now) => {
      const names = column(kit.runs, "name")
      if (made == null || made.runs !== kit.runs.data || made.axes !== kit.axes.data) {
        made = {runs: kit.runs.data, axes: kit.axes.data, ...polylines(kit, now)}
        draw(all, {xs: made.ys.map(() => made.xs), ys: made.ys, name: Array.from(names)})
      }
      const data = {xs: [], ys: [], colour: [], alpha: [], name: []}
      const many = now.first.reduce((count, s) => count + (s >= 0), 0)
      // The active selection lies on top of the others.
      for (const top of [false, true]) {
        for (let i = 0; i < now.count; i++) {
          if (now.first[i] < 0 || (now.first[i] === now.state.active) !== top) continue
          data.xs.push(made.xs)
          data.ys.push(made.ys[i])
          data.colour.push(now.colour(now.first[i]))
          data.alpha.push(Math.min(0.8, Math.max(0.2, 60 / many)))
          data.name.push(names[i])
        }
      }
      draw(chosen, data)
      draw(brushes, brush_boxes(now))
    }
  }

  let drag = null // what the pointer holds

  const nearest_axis = (table, x) => table.reduce((best, axis) => Math.abs(axis.place - x) < Math.abs(best.place - x) ? axis : best)
  const short = (value) => Number(value.toPrecision(6)) // so that addresses stay short
  const within = (u) => Math.min(Math.max(u, 0), 1)

  const grab = (kit, event, titles) => {
    const table = seen(scene(kit).axes)
    drag = null
    if (table.length === 0) return
    const axis = nearest_axis(table, event.x)
    if (event.y > 1.02) {
      if (Math.abs(axis.place - event.x) < 0.5) drag = {kind: "axis", axis, titles}
      return
    }
    if (Math.abs(axis.place - event.x) > REACH) return
    const u = within(event.y), edge = EDGE / event.origin.inner_height * SPAN
    const [state, choice] = editable(kit)
    const ends = choice.brushes[axis.name]
    const [low, high] = ends == null ? [2, 2] : ends.map((end, i) => end == null ? i : unit(axis, end))
    drag = {kind: "brush", axis, state, from: u, low, high, start: u}
    if (Math.abs(u - high) < edge) drag.from = low
    else if (Math.abs(u - low) < edge) drag.from = high
    else if (low < u && u < high) drag.kind = "shift"
  }

  const pull = (kit, event) => {
    if (drag == null) return
    const u = within(event.y), {axis, state} = drag
    if (drag.kind === "axis") {
      const {titles} = drag
      return draw(titles, {...plain(titles), x: Array.from(column(titles, "home"), (place) => place === axis.place ? event.x : place)})
    }
    let [low, high] = [Math.min(drag.from, u), Math.max(drag.from, u)]
    if (drag.kind === "shift") {
      const by = Math.min(Math.max(u - drag.start, -drag.low), 1 - drag.high)
      ;[low, high] = [drag.low + by, drag.high + by]
    }
    const ends = [low <= 0.001 ? null : short(value_at(axis, low)), high >= 0.999 ? null : short(value_at(axis, high))]
    state.selections[state.active].brushes[axis.name] = ends
    drag.size = high - low
    put(kit, state, false)
  }

  const release = (kit, event) => {
    if (drag == null) return
    const {kind, axis, state, titles, size} = drag
    drag = null
    if (kind === "axis") return place_axis(kit, event, axis, titles)
    if (size == null) return
    if (size < 0.004) delete state.selections[state.active].brushes[axis.name]
    put(kit, state, true)
  }

  const place_axis = (kit, event, axis, titles) => {
    const now = scene(kit), names = seen(now.axes).map(({name}) => name)
    const hidden = now.axes.filter(({place}) => place < 0).map(({name}) => name)
    const from = names.indexOf(axis.name), to = Math.min(Math.max(Math.round(event.x), 0), names.length - 1)
    draw(titles, {...plain(titles), x: Array.from(column(titles, "home"))})
    if (to === from) return
    names.splice(to, 0, names.splice(from, 1)[0])
    kit.hub.data = {...plain(kit.hub), order: [JSON.stringify([...names, ...hidden])]}
  }

  const hold = (kit, event, titles) => {
    if (event.event_name === "panstart") grab(kit, event, titles)
    if (event.event_name === "pan") pull(kit, event)
    if (event.event_name === "panend") release(kit, event)
  }

  // A double click takes the active selection's brush off an axis.
  const unbrush = (kit, event) => {
    const [state, choice] = editable(kit), table = seen(scene(kit).axes)
    const axis = table.length > 0 ? nearest_axis(table, event.x) : null
    if (axis == null || !(axis.name in choice.brushes)) return
    delete choice.brushes[axis.name]
    put(kit, state, true)
  }

  // Selects the run whose line passes the pointer; of lines upon one another the selected one.
  const tap_line = (kit, event) => {
    const now = scene(kit), {ys} = polylines(kit, now)
    const left = Math.floor(event.x), share = event.x - left
    let best = -1, distance = NEAR / event.origin.inner_height * SPAN
    ys.forEach((y, i) => {
      const off = Math.abs((y[left] ?? y[left + 1]) * (1 - share) + (y[left + 1] ?? y[left]) * share - event.y)
      const same = best >= 0 && now.first[best] < 0 && now.first[i] >= 0 && off < distance + 1e-9
      if (off < distance - 1e-9 || same) [best, distance] = [i, off]
    })
    if (best >= 0) toggle(kit, [best])
  }

  // -- heat maps ----------------------------------------------------------------------------------

  // cells: columns x, y [pairs * runs], the middle of each run's cell in one pair after the other, NaN where
  // a run has none; width, height: of the cell.
  const dots = (kit, {cells, out}) => (_, now) => {
    const [x, y, width] = ["x", "y", "width"].map((name) => column(cells, name)), data = {x: [], y: [], colour: []}
    for (let from = 0; now.count > 0 && from + now.count <= x.length; from += now.count) {
      const known = new Map()
      for (let i = 0; i < now.count; i++) {
        if (now.mask[i] === 0 || Number.isNaN(x[from + i])) continue
        const place = `${x[from + i]} ${y[from + i]}`
        known.set(place, (known.get(place) ?? 0) | now.mask[i])
      }
      for (const [place, bits] of known) {
        const [cx, cy] = place.split(" ").map(Number)
        const here = now.state.selections.map((_, s) => s).filter((s) => bits & 1 << s)
        here.forEach((s, j) => {
          data.x.push(cx + (j - (here.length - 1) / 2) * width[from] * 0.8 / Math.max(here.length, 2))
          data.y.push(cy)
          data.colour.push(now.colour(s))
        })
      }
    }
    draw(out, data)
  }

  const tap_cell = (kit, event, cells) => {
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => column(cells, name))
    const count = scene(kit).count, hit = new Set()
    for (let k = 0; k < x.length; k++) {
      if (Math.abs(x[k] - event.x) <= width[k] / 2 && Math.abs(y[k] - event.y) <= height[k] / 2) hit.add(k % count)
    }
    toggle(kit, [...hit])
  }

  // -- lines over time, and points ------------------------------------------------------------------

  const rank = (now, i) => now.first[i] < 0 ? -1 : now.first[i] === now.state.active ? MOST : now.first[i]

  // values: columns [M * n]; steps: column "step" [n]; outs: {column: source of lines}; own: column of `colours`
  // [M], or null for the selections' colours; most: so many runs are drawn at once, `words` says where not all.
  const curves = (kit, {values, steps, outs, colours, most, words}) => (_, now) => {
    const xs = Array.from(column(steps, "step")), n = xs.length, names = column(kit.runs, "name")
    const own = colours == null ? null : column(colours, "colour")
    const wanted = names.length === 0 ? [] : Array.from({length: now.count}, (_, i) => i).filter((i) => own != null || !now.some || now.first[i] >= 0)
    const stride = Math.max(1, Math.ceil(wanted.length / most))
    const drawn = wanted.filter((i, j) => j % stride === 0 || (own != null && now.first[i] >= 0)).sort((a, b) => rank(now, a) - rank(now, b))
    for (const [name, out] of Object.entries(outs)) {
      const all = column(values, name), data = {xs: [], ys: [], colour: [], alpha: [], width: [], name: []}
      for (const i of drawn) {
        const line = Array.from(all.slice(i * n, (i + 1) * n))
        const kept = line.map((value, j) => [xs[j], value]).filter(([, value]) => Number.isFinite(value))
        if (kept.length === 0) continue
        const chosen = now.first[i] >= 0
        data.xs.push(kept.map(([x]) => x))
        data.ys.push(kept.map(([, y]) => y))
        data.colour.push(own != null ? own[i] : chosen ? now.colour(now.first[i]) : now.grey)
        data.alpha.push(own != null ? (now.some && !chosen ? 0.25 : 0.95) : chosen ? 0.9 : 0.6)
        data.width.push(chosen ? 1.75 : own != null && !now.some ? 1.25 : 0.8)
        data.name.push(names[i])
      }
      draw(out, data)
    }
    words.text = stride > 1 ? `${drawn.length.toLocaleString("en")} of ${wanted.length.toLocaleString("en")} lines are drawn.` : ""
  }

  // Selected points are larger and have the selection's colour as their rim.
  const points = (kit, {source}) => (_, now) => {
    const which = Array.from(column(source, "run")), data = plain(source)
    data.size = which.map((i) => now.first[i] >= 0 ? 15 : 8)
    data.rim = which.map((i) => now.first[i] >= 0 ? now.colour(now.first[i]) : "#00000000")
    draw(source, data)
  }

  // The nearest point within reach.
  const tap_point = (kit, event, source) => {
    const {frame} = Bokeh.index.find_one(event.origin), [x, y, run] = ["x", "y", "run"].map((name) => column(source, name))
    let best = -1, distance = 1.5 * NEAR
    for (let k = 0; k < x.length; k++) {
      const off = Math.hypot(frame.x_scale.compute(x[k]) - event.sx, frame.y_scale.compute(y[k]) - event.sy)
      if (off < distance) [best, distance] = [k, off]
    }
    if (best >= 0) toggle(kit, [run[best]])
  }

  const take_box = (kit, event, source) => {
    if (!event.final || event.geometry.type !== "rect") return
    const {x0, x1, y0, y1} = event.geometry, [x, y] = [column(source, "x"), column(source, "y")]
    toggle(kit, Array.from(column(source, "run")).filter((_, k) => x0 <= x[k] && x[k] <= x1 && y0 <= y[k] && y[k] <= y1), true)
  }

  // The run whose curve passes the pointer. outs: sources of lines; scales: names of their vertical axes.
  const tap_curve = (kit, event, outs, scales) => {
    const {frame} = Bokeh.index.find_one(event.origin), names = Array.from(column(kit.runs, "name"))
    let best = null, distance = NEAR
    outs.forEach((out, o) => {
      const scale = frame.y_scales.get(scales[o])
      const [xs, ys, name] = ["xs", "ys", "name"].map((each) => column(out, each))
      for (let k = 0; k < xs.length; k++) {
        for (let j = 0; j + 1 < xs[k].length; j++) {
          const [a, b] = [frame.x_scale.compute(xs[k][j]), frame.x_scale.compute(xs[k][j + 1])]
          if (event.sx < a - NEAR || event.sx > b + NEAR || b === a) continue
          const share = within((event.sx - a) / (b - a))
          const off = Math.abs(scale.compute(ys[k][j]) * (1 - share) + scale.compute(ys[k][j + 1]) * share - event.sy)
          if (off < distance) [best, distance] = [name[k], off]
        }
      }
    })
    if (best != null) toggle(kit, [names.indexOf(best)])
  }

  // What came with the document itself has not changed since, and so has drawn nothing yet.
  const waken = () => {
    const doc = globalThis.Bokeh?.documents?.[0]
    if (doc?.get_model_by_name("bridge") == null) return requestAnimationFrame(waken)
    for (const model of doc._all_models.values()) {
      if (/^ensemble_.*_ready$/.test(model.name)) model.properties.data.change.emit()
    }
  }
  document.addEventListener("DOMContentLoaded", waken)

  // Cards are built when they come into sight, and, one by one, when there is nothing else to do.
  const AHEAD = 200, IDLE = 1500 // px, ms
  let woken = 0
  const build_next = () => {
    const doc = globalThis.Bokeh?.documents?.[0]
    if (doc == null || !doc.is_idle) return
    const views = [...doc._all_models.values()].filter((model) => model.tags?.[0] === "ensemble unseen")
      .map((model) => Bokeh.index.find_one(model)).filter((one) => one?.el.offsetParent != null)
      .sort((a, b) => a.el.getBoundingClientRect().top - b.el.getBoundingClientRect().top)
    const seen = views.find((one) => one.el.getBoundingClientRect().top < innerHeight + AHEAD)
    const next = seen ?? (performance.now() - woken > IDLE ? views[0] : null)
    if (next == null) return
    next.model.tags = ["ensemble seen"]
    woken = performance.now()
  }
  setInterval(build_next, 150)

  return {view, told, hold, unbrush, tap_line, parallel, dots, tap_cell, curves, points, tap_point, take_box, tap_curve, scene}
})()
