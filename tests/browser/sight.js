// What a reader sees of the page, read from the views that draw it: texts, tick labels, cells of tables.
(() => {
  const views = () => {
    const found = []
    const walk = (view) => {
      found.push(view)
      for (const child of view.children_views?.() ?? []) if (child != null) walk(child)
    }
    for (const view of Bokeh.index) walk(view)
    return found
  }
  const seen = (view) => {
    if (typeof view.el?.getBoundingClientRect !== "function" || view.model.visible === false) return false
    const box = view.el.getBoundingClientRect()
    return box.width > 0 && box.height > 0 && view.el.checkVisibility?.() !== false
  }
  const kind = (view) => view.model.type
  const figures = () => views().filter((view) => kind(view) === "Figure" && seen(view))

  // Labels as they are drawn on an axis, or on the axis of a colour bar.
  const labels = (view) => {
    const ticks = view.tick_coords.major[view.dimension]
    return view.compute_labels(ticks).items.map((label) => String(label.text ?? label.model?.text ?? ""))
  }
  const limits = (view) => [view.ranges[0].start, view.ranges[0].end]
  const axes = () => figures().flatMap((figure) =>
    figure.children_views().filter((view) => view?.model?.type?.endsWith("Axis") && view.model.visible)
      .map((view) => ({
        figure: figure.model.name, side: view.panel?.side ?? "", title: view.model.axis_label?.text ?? view.model.axis_label ?? "",
        labels: labels(view), limits: limits(view),
        none: view.model.major_label_text_font_size === "0px" || view.model.major_label_text_color == null ||
          (view.model.ticker.type === "FixedTicker" && view.model.ticker.ticks.length === 0),
      })))
  const bars = () => figures().flatMap((figure) =>
    figure.children_views().filter((view) => view?.model?.type === "ColorBar" && view.model.visible)
      .map((view) => ({figure: figure.model.name, side: "bar", title: view.model.title ?? "", labels: labels(view._axis_view), limits: limits(view._axis_view)})))

  // How much a figure draws: rows of the sources of its glyphs; of those alone that a colour bar explains.
  const glyphs = (figure) => figure.model.renderers.filter((each) => each.type === "GlyphRenderer" && each.visible)
  const rows = ({data_source: source}) => source.get_length() ?? 0
  const mappers = ({glyph}) => [glyph.color_mapper, ...Object.values(glyph.attributes).map((value) => value?.transform)]
  const empty = () => figures().flatMap((figure) => {
    const drawn = glyphs(figure), name = figure.model.name
    const bars = figure.children_views().filter((view) => view?.model?.type === "ColorBar" && view.model.visible)
    const idle = bars.filter(({model: {color_mapper}}) => !drawn.some((each) => rows(each) > 0 && mappers(each).includes(color_mapper)))
    return [
      ...(drawn.some((each) => rows(each) > 0) || figure.model.renderers.length === 0 ? [] : [`${name} draws nothing`]),
      ...idle.map(() => `${name} has a colour bar of nothing`),
    ]
  })

  // Cells that are on the screen, beside what their formatter makes of the source.
  const words = (html) => {
    const box = document.createElement("div")
    box.innerHTML = html
    return box.textContent.trim()
  }
  const tables = () => views().filter((view) => kind(view) === "DataTable" && seen(view) && view.grid != null)
  const cells = () => tables().flatMap((view) => {
    const found = [], columns = view.grid.getColumns()
    const {bottom} = view.grid.getRenderedRange()
    const count = view.data.getLength()
    for (let row = 0; row <= Math.min(bottom, count - 1); row++) {
      columns.forEach((column, place) => {
        const node = view.grid.getCellNode(row, place)
        if (node == null || column.field == null || column.formatter == null || column.id === "_checkbox_selector") return
        const item = view.data.getItem(row)
        const wanted = words(column.formatter(row, place, item[column.field], column, item))
        const shown = node.textContent.trim()
        found.push({table: view.model.name, row, field: column.field, shown, wanted})
      })
    }
    return found
  })

  const own = (node) => [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent).join(" ").trim()
  // Every text of the page, those of the shadow trees too.
  const texts = (root = document.body) => {
    const found = []
    const walk = (node) => {
      if (node.nodeType === 1) {
        if (["STYLE", "SCRIPT", "SVG", "OPTION"].includes(node.tagName)) return
        if (node.checkVisibility?.() === false) return
        const text = own(node)
        if (text !== "") found.push(text)
      }
      for (const child of node.shadowRoot?.childNodes ?? []) walk(child)
      for (const child of node.childNodes) walk(child)
    }
    walk(root)
    return found
  }
  const drawn = () => figures().flatMap((figure) => figure.children_views()
    .filter((view) => ["Title", "Label", "Legend"].includes(view?.model?.type) && view.model.visible)
    .flatMap((view) => view.model.type === "Legend" ? view.model.items.map((item) => item.label?.value ?? "") : [view.model.text])
    .concat(figure.model.title?.text ?? []).map(String))

  // Elements whose content goes on beside their edge without a word of it.
  const cut = () => {
    const found = []
    const walk = (node) => {
      if (node.nodeType === 1 && !["INPUT", "SELECT", "TEXTAREA"].includes(node.tagName)) {
        const scrolls = ["auto", "scroll"].includes(getComputedStyle(node).overflowX)
        const wide = node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1
        if (scrolls && wide && node.checkVisibility() && !node.dataset.more) found.push(`${node.className} of ${node.getRootNode().host?.className ?? ""}`)
      }
      for (const child of [...(node.shadowRoot?.children ?? []), ...node.children]) walk(child)
    }
    walk(document.body)
    return found
  }

  const named = (name) => Bokeh.documents[0].get_model_by_name(name)
  const cards = (style) => views().filter((view) => view.model.css_classes?.includes?.(style) && seen(view))
    .map((view) => `${view.model.name}: ${texts(view.el).join(" ")}`)
  const working = () => views().filter((view) => view.model.css_classes?.includes?.("gd-progress") && seen(view))
    .filter((view) => view.model.children.some((child) => child.type === "Button" && child.visible))
    .map((view) => `${view.model.name}: ${texts(view.el).join(" ")}`)
  const refused = () => views().filter((view) => view.model.css_classes?.includes?.("gd-progress") && seen(view))
    .filter((view) => !view.model.children.some((child) => child.type === "Button" && child.visible))
    .map((view) => `${view.model.name}: ${texts(view.el).join(" ")}`)

  // -- what can be chosen, and choosing it --------------------------------------------------------

  const key = (model) => model.name ?? model.id
  const find = (name) => named(name) ?? Bokeh.documents[0].get_model_by_id(name)
  const able = (view) => seen(view) && !view.model.disabled
  const options = (model) => {
    const plain = (option) => Array.isArray(option) ? option[0] : option
    switch (model.type) {
      case "Select": return (Array.isArray(model.options) ? model.options : Object.values(model.options).flat()).map(plain)
      case "RadioButtonGroup": return model.labels.map((_, i) => i)
      case "CheckboxGroup": return model.labels.map((_, i) => model.active.includes(i) ? model.active.filter((j) => j !== i) : [...model.active, i].sort())
      case "Slider": return [model.start, model.end]
      case "Spinner": return [model.low, model.high].filter((value) => value != null)
      default: return []
    }
  }
  const held = (model) => model.type === "RadioButtonGroup" || model.type === "CheckboxGroup" ? "active" : "value"
  const choices = () => views().filter(able).flatMap(({model}) => {
    const now = model[held(model)]
    return options(model).filter((value) => JSON.stringify(value) !== JSON.stringify(now)).map((value) => [key(model), value, now])
  })
  const buttons = () => views().filter((view) => ["Button", "Toggle"].includes(kind(view)) && able(view))
    .map(({model}) => [key(model), model.label])
  const choose = (name, value) => {
    const model = find(name)
    if (model == null) return
    if (["Button", "Toggle"].includes(model.type)) Bokeh.index.find_one(model)?.click()
    else model[held(model)] = value
  }

  const into_view = (name) => Bokeh.index.find_one(named(name))?.el.scrollIntoView({block: "center", behavior: "instant"})
  const middle = (name) => {
    const view = Bokeh.index.find_one(named(name))
    const box = view?.canvas_view?.el.getBoundingClientRect(), frame = view?.frame?.bbox
    if (box == null || !(frame.width > 0 && frame.height > 0)) return null
    return [box.left + frame.left + frame.width / 2, box.top + frame.top + frame.height / 2]
  }
  const titles = () => views().filter((view) => /_(title|caption)$/.test(view.model.name ?? "") && seen(view)).map((view) => [view.model.name, view.model.text])
  const page = () => [new URLSearchParams(location.search).get("page") ?? ""]

  // Columns of a source by its name, as plain lists; [] where there is none.
  const column = (source, name) => {
    const plain = (a) => a != null && typeof a === "object" ? Array.from(a, plain) : a
    return plain(named(source)?.get_column?.(name) ?? [])
  }
  const shown = (name) => {
    const model = named(name), view = model == null ? null : Bokeh.index.find_one(model)
    return view != null && seen(view) ? model : null
  }

  window.gdSight = {
    axes, bars, empty, cut, cells, texts, drawn, cards: () => cards("gd-error"), working, refused, named, titles, page, column, shown,
    choices, buttons, choose, into_view, middle, figures: () => figures().map((view) => view.model.name),
  }
})()
