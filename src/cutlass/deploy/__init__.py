"""What puts Cutlass into AWS: the functions' packages."""
