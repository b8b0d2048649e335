workspace_dir = "state/dev"
