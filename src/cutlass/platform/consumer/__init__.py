"""What AWS's event source mappings do: streams, queues and clocks start functions."""
