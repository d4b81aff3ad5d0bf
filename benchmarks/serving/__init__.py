"""How fast a trained generator is served, beside other ways to serve the same one."""
