workspace_dir = "state/prod"
