"""One folder per page; none knows another. Views that several pages show stand in `server.views`."""
