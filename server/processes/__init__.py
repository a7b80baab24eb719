"""Several server processes behind one port, as `python -m server RUNS --processes N` starts them.

    listener  accepts connections, looks at their heads without reading them, chooses a process for each
    heads     what a request's head says of its session, and where that session lives
    parent    the process that listens; it has the one worker, and starts again what ended
    member    one server process as the parent sees it
    jobs      both ends of the way from a session in a server process to the parent's worker
    child     what a server process does

A session lives in one process, and its page and its websocket come over different connections. So each
connection is given to the process of its session as it is: the file descriptor travels over a Unix socket,
and no byte of a reader is copied on the way. `heads.place` computes the process from the session's id,
whatever the id is; a process gives out ids alone that lead back to it. So nothing has to be remembered or
believed: a made-up id leads to some process, which treats it as Bokeh does.

Connections of pages are closed after one answer, as the next request on it might be for another process's
session; nothing else is different from a single process.
"""
