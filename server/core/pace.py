"""What keeps Bokeh from serving many readers at once, taken out of its way.

Two things cost much of a page's time, as measured with Bokeh 3.9, and neither changes what is sent:

- at every look at a property its default is found, copied and checked again, though it never changes;
- a session that ends walks twice through all objects of the process, while everybody waits. Without that, its
  models, which refer to one another in circles, stay until Python looks for such circles: 66 visits left 1.3
  million objects and then 3 s in which nobody was answered. So the models are taken apart, and go at once.

A third is left as it is: every changed property is a message of its own. Sent as one message a turn, they
made legends fail in the browser ("cannot find a view for Legend"), which builds views between messages.

`install` replaces the functions in question, once for the process. What it needs of Bokeh's inner parts is
tested (`tests/server/test_pace.py`), so that a version that has other ones is noticed there and not here.
"""

import gc
from contextlib import contextmanager
from functools import cache
from typing import Any

from bokeh.application.handlers.document_lifecycle import DocumentLifecycleHandler
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.document import Document

_PLAIN = (str, int, float, bool, type(None))  # defaults that nobody can change in place
_installed = False


def install() -> None:
    """Call it before the first model is made."""
    global _installed
    if not _installed:
        _installed = True
        _remember_defaults()
        _end_without_walks()


def settle() -> None:
    """What is loaded now stays: later collections need not look at it. Call it when all is loaded."""
    gc.collect()
    gc.freeze()


# -- defaults -----------------------------------------------------------------------------------------


def _remember_defaults() -> None:
    model: Any = HasProps  # its methods are replaced, which a checker of types has reason to refuse
    overridden: Any = cache(model._overridden_defaults.__func__)
    model._overridden_defaults = classmethod(lambda cls: overridden(cls))
    model.themed_values = lambda self: vars(self).get("__themed_values__")  # looked up in vain, as a rule
    is_unstable, find = PropertyDescriptor.has_unstable_default, PropertyDescriptor._get_default
    unstable: dict[tuple, bool] = {}
    plain: dict[tuple, object] = {}

    def has_unstable_default(self, obj) -> bool:
        key = (self, type(obj))
        if key not in unstable:
            unstable[key] = is_unstable(self, obj)
        return unstable[key]

    def _get_default(self, obj):
        themed = obj.themed_values()
        if themed is not None and self.name in themed:
            return find(self, obj)
        key = (self, type(obj))
        if key in plain:
            return plain[key]
        value = find(self, obj)
        if isinstance(value, _PLAIN) and not self.has_unstable_default(obj):
            plain[key] = value
        return value

    PropertyDescriptor.has_unstable_default = has_unstable_default
    PropertyDescriptor._get_default = _get_default


# -- ends ---------------------------------------------------------------------------------------------


def _end_without_walks() -> None:
    destroy, tell = Document.destroy, DocumentLifecycleHandler.on_session_destroyed

    def destroyed(self, session) -> None:
        models = list(self.models)
        with _walks_refused():
            destroy(self, session)
        for model in models:
            vars(model).clear()

    async def on_session_destroyed(self, session_context) -> None:
        with _walks_refused():  # it awaits nothing meanwhile
            await tell(self, session_context)

    Document.destroy, DocumentLifecycleHandler.on_session_destroyed = destroyed, on_session_destroyed


@contextmanager
def _walks_refused():
    """Bokeh collects garbage, and looks for everybody who refers to the session's module."""
    collect, get_referrers = gc.collect, gc.get_referrers
    gc.collect, gc.get_referrers = lambda *_: 0, lambda *_: []
    try:
        yield
    finally:
        gc.collect, gc.get_referrers = collect, get_referrers
