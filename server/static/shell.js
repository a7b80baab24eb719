// The page's own script: header, keys, theme, address, saving files. Everything that needs the
// record happens in the session, which is told by `bridge.event` and answers by the bridge's
// other properties (server/shell/bridge.py).
"use strict"

const gdlab = (() => {
  const root = document.documentElement
  const $ = (id) => document.getElementById(id)
  let bridge = null
  let count = 0
  let early = [] // what happened before the session had a page to show; then null

  const send = (type, value) => (bridge.event = JSON.stringify({n: ++count, type, value}))

  const tell = (type, value = null) => {
    if (early != null) early.push([type, value])
    else send(type, value)
  }

  // -- theme ------------------------------------------------------------------------------------

  const dark = () => root.dataset.theme === "dark"

  const wear = (theme) => {
    root.dataset.theme = theme
    $("gd-theme")?.setAttribute("aria-pressed", String(theme === "dark"))
  }

  const toggle_theme = () => {
    wear(dark() ? "light" : "dark")
    try {
      localStorage.setItem("gdlab-theme", root.dataset.theme)
    } catch {} // storage may be forbidden; the address still remembers
    tell("theme", root.dataset.theme)
  }

  // -- what the session tells -------------------------------------------------------------------

  const show_page = (page) => {
    for (const tab of document.querySelectorAll(".gd-tab")) {
      if (tab.dataset.page === page) tab.setAttribute("aria-current", "page")
      else tab.removeAttribute("aria-current")
    }
    reveal_tab()
  }

  // On a narrow page the row of tabs scrolls; scrolled by hand, so that nothing else moves with it.
  const reveal_tab = () => {
    const tab = document.querySelector('.gd-tab[aria-current="page"]')
    const row = tab?.parentElement
    if (row) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2
  }

  let page_now = null
  const write_address = (query) => {
    const page = new URLSearchParams(query).get("page")
    const address = location.pathname + (query === "?" ? "" : query)
    const another = page_now != null && page !== page_now
    history[another ? "pushState" : "replaceState"](null, "", address)
    page_now = page
  }

  const show_status = (text) => {
    if (text === "") return
    const {kind, text: words} = JSON.parse(text)
    const pill = $("gd-status")
    pill.dataset.kind = kind
    pill.textContent = kind === "paused" ? `paused · ${words}` : words
    const pause = $("gd-pause")
    pause.textContent = kind === "paused" ? "Resume" : "Pause"
    pause.setAttribute("aria-pressed", String(kind === "paused"))
  }

  let notice_timer = null
  const show_notice = (words) => {
    if (words === "") return
    $("gd-notice").textContent = words
    $("gd-notice").hidden = false
    clearTimeout(notice_timer)
    notice_timer = setTimeout(() => ($("gd-notice").hidden = true), 8000)
  }

  const take_file = (text) => {
    if (text === "") return
    const {name, text: content, base64} = JSON.parse(text)
    if (base64 == null) download(name, new Blob([content], {type: "text/csv;charset=utf-8"}))
    else download(name, new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]))
  }

  // -- saving -----------------------------------------------------------------------------------

  const download = (name, blob) => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  }

  const card_colour = () => getComputedStyle(root).getPropertyValue("--gd-card").trim()

  // A layout stands for the figures in it, in their order; what is hidden is not there.
  const seen_figures = (models) => models.flatMap((model) => {
    if (!model.visible) return []
    if (model.children != null) return seen_figures(model.children)
    const view = model.type === "Figure" ? Bokeh.index.find_one(model) : null
    return view != null && view.bbox.width > 0 && view.bbox.height > 0 ? [view] : []
  })

  const pictures = (figures, type) => {
    const parts = seen_figures(figures).map((view) => ({layer: view.export(type, true), width: view.bbox.width, height: view.bbox.height}))
    const width = Math.max(0, ...parts.map((part) => part.width))
    const height = parts.reduce((sum, part) => sum + part.height, 0)
    return {parts, width, height}
  }

  const svg_text = (figures) => {
    const {parts, width, height} = pictures(figures, "svg")
    const namespace = "http://www.w3.org/2000/svg"
    const svg = document.createElementNS(namespace, "svg")
    const ground = document.createElementNS(namespace, "rect")
    for (const element of [svg, ground]) {
      element.setAttribute("width", width)
      element.setAttribute("height", height)
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
    ground.setAttribute("fill", card_colour())
    svg.append(ground)
    let top = 0
    for (const part of parts) {
      const inner = part.layer.ctx.get_svg()
      inner.setAttribute("y", top)
      svg.append(inner)
      top += part.height
    }
    return new XMLSerializer().serializeToString(svg)
  }

  const png_blob = (figures) => {
    const {parts, width, height} = pictures(figures, "png")
    const scale = Math.max(1, ...parts.map((part) => part.layer.pixel_ratio))
    const canvas = document.createElement("canvas")
    canvas.width = Math.round(width * scale)
    canvas.height = Math.round(height * scale)
    const ctx = canvas.getContext("2d")
    ctx.fillStyle = card_colour()
    ctx.fillRect(0, 0, canvas.width, canvas.height)
    let top = 0
    for (const part of parts) {
      ctx.drawImage(part.layer.canvas, 0, Math.round(top * scale))
      top += part.height
    }
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"))
  }

  const save = async (figures, type, file) => {
    if (type !== "csv" && seen_figures(figures).length === 0) {
      return show_notice("There is no plot on this card yet.")
    }
    if (type === "svg") download(`${file}.svg`, new Blob([svg_text(figures)], {type: "image/svg+xml"}))
    if (type === "png") download(`${file}.png`, await png_blob(figures))
  }

  // -- what `server/export.py` asks for -----------------------------------------------------------

  const models = () => [...(Bokeh.documents[0]?._all_models.values() ?? [])]
  const seen = (model) => (Bokeh.index.find_one(model)?.bbox.width ?? 0) > 0

  // Names of the cards that have a menu and are on the screen, top to bottom.
  const cards = () => models()
    .filter((model) => model.type === "Dropdown" && model.name?.endsWith("_menu") && seen(model))
    .map((model) => [model.name.slice(0, -"_menu".length), Bokeh.index.find_one(model).el.getBoundingClientRect()])
    .sort(([, a], [, b]) => a.top - b.top || a.left - b.left)
    .map(([name]) => name)

  const picture = async (card, type) => {
    const menu = Bokeh.documents[0].get_model_by_name(`${card}_menu`)
    const saves = [...(menu.js_event_callbacks.menu_item_click ?? menu.js_event_callbacks.get?.("menu_item_click") ?? [])]
    const args = saves[0]?.args
    const figures = args?.figures ?? args?.get?.("figures") ?? []
    if (seen_figures(figures).length === 0) return ""
    if (type === "svg") return svg_text(figures)
    const bytes = new Uint8Array(await (await png_blob(figures)).arrayBuffer())
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
  }

  // Whether nothing has been under way for a second: calls must come at least four times in that time.
  let quiet_since = null
  const settled = () => {
    const working = (model) => model.css_classes?.includes("gd-loading")
      || (model.css_classes?.includes("gd-progress") && model.children.some((part) => part.type === "Button" && part.visible))
    const busy = models().some((model) => model.visible && working(model) && seen(model))
    if (busy || !Bokeh.documents[0].is_idle) quiet_since = null
    else quiet_since ??= performance.now()
    return quiet_since != null && performance.now() - quiet_since > 1000
  }

  const messages = () => models()
    .filter((model) => model.type === "Div" && model.css_classes?.includes("gd-message") && seen(model))
    .map((model) => model.text)

  // -- the run list -----------------------------------------------------------------------------

  const restore_sort = (view, wanted) => {
    const columns = view.grid.getColumns()
    const sorted = wanted.flatMap(({field, sortAsc}) => {
      const column = columns.find((each) => each.field === field)
      return column ? [{columnId: column.id, sortAsc}] : []
    })
    if (sorted.length === 0) return
    view.grid.setSortColumns(sorted)
    view.updateGrid()
    view.model.update_sort_columns(sorted.map(({columnId, sortAsc}) => (
      {sortCol: columns.find((each) => each.id === columnId), sortAsc})))
  }

  // SlickGrid forgets its sorting when columns are shown or hidden, and knows nothing of the address.
  const keep_sorting = (view) => {
    if (view.gd_kept) return
    view.gd_kept = true
    const sort = new URLSearchParams(location.search).get("sort")
    if (sort) restore_sort(view, [{field: sort.replace(/^-/, ""), sortAsc: !sort.startsWith("-")}])
    const render = view._render_table.bind(view)
    view._render_table = () => {
      render()
      restore_sort(view, view.model.sort_columns)
    }
  }

  const table_view = () => {
    const model = Bokeh.documents[0]?.get_model_by_name("runs_table")
    return model == null ? null : Bokeh.index.find_one(model)
  }

  const tend_table = () => {
    const view = table_view()
    if (view?.grid != null) keep_sorting(view)
  }

  const clicked = (event) => {
    const path = event.composedPath()
    const has = (name) => path.find((element) => element.classList?.contains(name))
    const name = has("gd-open")
    if (name) tell("open", [name.textContent])
    if (has("slick-header-column")) {
      setTimeout(() => {
        const last = table_view()?.model.sort_columns.at(-1)
        if (last) tell("sort", [last.field, last.sortAsc])
      })
    }
  }

  // -- cells ------------------------------------------------------------------------------------

  const number = (value) => {
    if (value === "" || value == null || Number.isNaN(value)) return "–"
    if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en")
    const size = Math.abs(value)
    return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(5))) : value.toExponential(2)
  }

  const duration = (seconds) => {
    if (!Number.isFinite(seconds)) return "–"
    if (seconds < 1) return `${Number((1000 * seconds).toPrecision(2))} ms`
    if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`
    const minutes = Math.floor(seconds / 60)
    if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  }

  const when = (seconds, full = false) => {
    if (!Number.isFinite(seconds)) return "–"
    const date = new Date(1000 * seconds)
    if (full) return date.toISOString()
    const day = {day: "numeric", month: "short", ...(date.getFullYear() === new Date().getFullYear() ? {} : {year: "numeric"})}
    return date.toLocaleString("en-GB", {...day, hour: "2-digit", minute: "2-digit"})
  }

  // -- keys -------------------------------------------------------------------------------------

  const typing = (event) => {
    const target = event.composedPath()[0]
    return ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) && target.type !== "checkbox" || target.isContentEditable
  }

  // A slider that has the focus takes the arrow keys for itself.
  const sliding = (event) => event.key.startsWith("Arrow") && event.composedPath()[0].getAttribute?.("role") === "slider"

  let typed = null // what is typed between the key "/" and the field's appearance

  const ask_filter = () => {
    if (focus_filter()) return
    tell("page", "runs")
    typed = ""
    const stop = () => (typed = null)
    const fill = () => {
      const field = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name("filter")).input_el
      if (typed !== "") {
        field.value = typed
        for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {bubbles: true}))
      }
      stop()
    }
    await_state(() => focus_filter() || typed == null, () => typed == null || fill(), 600, stop)
  }

  const focus_filter = () => {
    const model = Bokeh.documents[0]?.get_model_by_name("filter")
    const view = model && Bokeh.index.find_one(model)
    if (view?.el.offsetParent == null) return false
    view.input_el.focus()
    view.input_el.select()
    return true
  }

  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const help = $("gd-keys")
    if (event.key === "Escape" && typing(event)) return event.composedPath()[0].blur()
    if (typing(event) || sliding(event)) return
    if (typed != null) {
      if (event.key === "Escape") typed = null
      else if (event.key === "Backspace") typed = typed.slice(0, -1)
      else if (event.key.length === 1) typed += event.key
      return event.preventDefault()
    }
    if (help.open) return event.key === "?" ? help.close() : undefined // Escape closes a dialog by itself
    const actions = {
      "?": () => help.showModal(),
      "/": ask_filter,
      l: () => tell("log"),
      t: toggle_theme,
      p: () => $("gd-pause").click(),
      ArrowLeft: () => tell("step", -1),
      ArrowRight: () => tell("step", 1),
      Escape: () => tell("back"),
    }
    if (event.key in actions) {
      event.preventDefault()
      actions[event.key]()
    }
  }

  // -- start ------------------------------------------------------------------------------------

  const await_state = (ready, then, frames, never = () => {}) => {
    if (ready()) then()
    else if (frames > 0) requestAnimationFrame(() => await_state(ready, then, frames - 1, never))
    else never()
  }

  const connect = () => {
    const doc = Bokeh.documents[0]
    bridge = doc.get_model_by_name("bridge")
    const follow = {address: write_address, page: show_page, status: show_status, notice: show_notice, file: take_file}
    for (const [name, act] of Object.entries(follow)) {
      bridge.properties[name].change.connect(() => act(bridge[name]))
    }
    page_now = new URLSearchParams(location.search).get("page")
    if (bridge.address !== "") write_address(bridge.address)
    show_page(bridge.page)
    show_status(bridge.status)
    if (bridge.notice !== "") show_notice(bridge.notice)
    if (bridge.theme !== root.dataset.theme) send("greet", root.dataset.theme)
    doc.on_event("connection_lost", () => show_status(JSON.stringify({kind: "lost", text: "server not reached"})))
    doc.on_event("client_reconnected", () => location.reload())
    $("gd-skeleton").hidden = true
    await_state(built, open, Infinity)
    setInterval(tend_table, 200)
    // What is painted before its font is there is painted again; nothing is where the font came first.
    document.fonts.addEventListener("loadingdone", () => {
      for (const view of Bokeh.index.all_views()) view.request_paint?.()
    })
  }

  const built = () => Bokeh.documents[0].get_model_by_name("main").children.some(({name}) => name?.startsWith("page_"))

  // The session answers from now on: what was done before is told first.
  const open = () => {
    const waiting = early
    early = null
    for (const [type, value] of waiting) send(type, value)
    root.dataset.ready = "yes"
  }

  const failed = () => {
    $("gd-skeleton").hidden = true
    show_notice("The page could not be loaded: the server does not answer. Is it still running?")
    clearTimeout(notice_timer)
  }

  document.addEventListener("DOMContentLoaded", () => {
    wear(root.dataset.theme)
    reveal_tab()
    $("gd-theme").onclick = toggle_theme
    $("gd-help").onclick = () => $("gd-keys").showModal()
    $("gd-close").onclick = () => $("gd-keys").close()
    $("gd-pause").onclick = () => tell("pause", $("gd-pause").getAttribute("aria-pressed") !== "true")
    for (const tab of document.querySelectorAll(".gd-tab")) {
      tab.onclick = (event) => {
        event.preventDefault()
        tell("page", tab.dataset.page)
      }
    }
    document.addEventListener("keydown", pressed)
    document.addEventListener("click", clicked)
    addEventListener("popstate", () => location.reload())
    const waiting = setTimeout(failed, 20_000)
    const ready = () => {
      const doc = globalThis.Bokeh?.documents?.[0]
      return doc != null && doc.get_model_by_name("bridge") != null && doc.is_idle
    }
    await_state(ready, () => {
      clearTimeout(waiting)
      connect()
    }, 100_000)
  })

  return {save, cards, picture, settled, messages, number, duration, when}
})()
globalThis.gdlab = gdlab
