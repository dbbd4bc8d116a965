std = "lua54+busted"
max_line_length = 120
exclude_files = {"build*", ".cache", "lua/neap/meta"}
read_globals = {}
