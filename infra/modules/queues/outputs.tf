output "queues" {
  description = "The queues by name, dead-letter queues among them: name, arn, url."
  value       = { for name, queue in local.all : name => { name = queue.name, arn = queue.arn, url = queue.id } }
}
