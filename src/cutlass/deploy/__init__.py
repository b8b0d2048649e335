"""What puts Cutlass into AWS: packages of functions, and Terraform over layers, accounts and regions."""
