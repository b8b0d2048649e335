"""What DynamoDB global tables and the network between regions do: copy changes late, and sometimes not at all."""
