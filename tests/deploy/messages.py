"""Messages in the deployed queues, and in the streams they tell of."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cutlass.contracts import load_functions, load_queues, load_tables, load_topology
from tests.deploy.calls import client
from tests.deploy.harness import ACCOUNT

ENVIRONMENT = "dev"
WAITING = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


@dataclass(frozen=True)
class Messages:
    """The queues and streams of one region on the emulator."""

    endpoint: str
    region: str

    @property
    def sqs(self) -> Any:
        return client("sqs", self.endpoint, self.region)

    def url(self, queue: str) -> str:
        name = load_queues()[queue].resource(ENVIRONMENT, self.region)
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def send(self, queue: str, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url(queue), MessageBody=body)

    def waiting(self, queue: str) -> int:
        """Return how many messages are in a queue, those that are being worked on too."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=list(WAITING))
        return sum(int(answer["Attributes"][name]) for name in WAITING)

    def bodies(self, queue: str) -> list[str]:
        """Receive what is in a queue, and leave it there."""
        asked = {"QueueUrl": self.url(queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}
        return [message["Body"] for message in self.sqs.receive_message(**asked).get("Messages", [])]

    @contextmanager
    def hurried(self, queue: str) -> Iterator[None]:
        """Let what failed come again once, after 40 s, for a while: what is deployed would take ten minutes.

        That is longer than the function takes, with an interpreter to start beside whatever else runs here.
        """
        url = self.url(queue)
        asked = {"QueueUrl": url, "AttributeNames": ["RedrivePolicy", "VisibilityTimeout"]}
        deployed = self.sqs.get_queue_attributes(**asked)["Attributes"]
        redrive = json.loads(deployed["RedrivePolicy"]) | {"maxReceiveCount": 2}
        quick = {"VisibilityTimeout": "40", "RedrivePolicy": json.dumps(redrive)}
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=quick)
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes=deployed)

    def positions(self, table: str) -> Iterator[tuple[str, str, str]]:
        """Give stream, shard and sequence number of each record in a table's stream."""
        name = load_tables()[table].resource(ENVIRONMENT)
        described = client("dynamodb", self.endpoint, self.region).describe_table(TableName=name)
        arn = described["Table"]["LatestStreamArn"]
        streams = client("dynamodbstreams", self.endpoint, self.region)
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = streams.get_shard_iterator(**asked)["ShardIterator"]
            for record in streams.get_records(ShardIterator=iterator)["Records"]:
                yield arn, shard["ShardId"], record["dynamodb"]["SequenceNumber"]

    def notice(self, function: str, stream: str, shard: str, sequence: str) -> str:
        """Return what Lambda says of a batch of one record that it gave up."""
        name = load_functions()[function].resource(ENVIRONMENT, self.region)
        aws_region = load_topology().regions[self.region].aws_region
        return json.dumps(
            {
                "requestContext": {
                    "functionArn": f"arn:aws:lambda:{aws_region}:{ACCOUNT}:function:{name}:live",
                    "condition": "RetryAttemptsExhausted",
                },
                "DDBStreamBatchInfo": {
                    "shardId": shard,
                    "startSequenceNumber": sequence,
                    "endSequenceNumber": sequence,
                    "batchSize": 1,
                    "streamArn": stream,
                },
            }
        )
