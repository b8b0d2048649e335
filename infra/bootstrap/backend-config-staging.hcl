workspace_dir = "state/staging"
