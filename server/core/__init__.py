"""What all parts of the app stand on: a session's address, mailbox and context, runs, colours, the worker."""
