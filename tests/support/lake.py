"""The archive in an emulator's buckets, and Athena beside it, as infra/100-data-layer makes them in AWS."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.contracts import load_archive, load_buckets
from cutlass.reporting.athena import Athena, catalogued
from cutlass.storage.aws import ATHENA, Aws, RefusedError, Service
from cutlass.storage.objects import Bucket

WHO = Credentials("111111111111", "local")
REGION = "eu-west-2"
TYPES = {"VARCHAR": "string", "BIGINT": "bigint", "INTEGER": "int", "BOOLEAN": "boolean"}

GLUE = Service("glue", "glue", "AWSGlue", "1.1")


@dataclass(frozen=True)
class Lake:
    """An emulator: `tests.deploy.emulator`, whose tables tell where each row is from."""

    endpoint: str

    def bucket(self, name: str) -> Bucket:
        """Make a bucket."""
        place = f"<LocationConstraint>{REGION}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode()
        request = AWSRequest(method="PUT", url=f"{self.endpoint}/{name}", data=body)
        SigV4Auth(WHO, "s3", REGION).add_auth(request)
        answer = urllib3.request(
            "PUT", f"{self.endpoint}/{name}", body=body, headers=dict(request.headers.items())
        )
        assert answer.status == 200, answer.data
        return Bucket(name, REGION, endpoint=self.endpoint, credentials=WHO)

    def catalogue(self, workgroup: str, *archives: Bucket) -> None:
        """Make a workgroup that keeps answers in the first of the archives, its database, and their tables."""
        answers = load_buckets()["archive"].scratch_prefix
        place = {"ResultConfiguration": {"OutputLocation": f"{archives[0].name}/{answers}"}}
        self.call(ATHENA, "CreateWorkGroup", {"Name": workgroup, "Configuration": place})
        self.call(GLUE, "CreateDatabase", {"DatabaseInput": {"Name": catalogued(workgroup)}})
        for archive in archives:
            self.table(workgroup, archive)

    def table(self, workgroup: str, archive: Bucket, *, location: Bucket | None = None) -> None:
        """Make the table of an archive; `location` is another bucket it wrongly looks into."""
        table = table_input((location or archive).name.removeprefix("s3://")) | {"Name": catalogued(archive.name)}
        self.call(GLUE, "CreateTable", {"DatabaseName": catalogued(workgroup), "TableInput": table})

    def athena(self, workgroup: str) -> Athena:
        """Return who asks the tables of a workgroup, whatever the size."""
        return Athena(REGION, workgroup, from_bytes=0, endpoint=self.endpoint, credentials=WHO, sleep=briefly)

    def asked(self, workgroup: str) -> int:
        """Return how many queries a workgroup was asked."""
        return len(self.call(ATHENA, "ListQueryExecutions", {"WorkGroup": workgroup})["QueryExecutionIds"])

    def call(self, service: Service, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a service; what is there already may stay."""
        try:
            return Aws(service, REGION, endpoint=self.endpoint, credentials=WHO).call(operation, dict(body))
        except RefusedError as refused:
            if "already exists" not in refused.message:
                raise
            return {}


def briefly(seconds: float) -> None:
    """Wait as the emulator needs it, not as AWS does."""
    time.sleep(min(seconds, 0.02))


def table_input(bucket: str) -> dict[str, Any]:
    """Return the table of an archive as Glue takes it; tests/infra/test_archive.py holds Terraform's to it."""
    root = f"s3://{bucket}/{load_buckets()['archive'].copy_prefix}"
    parquet = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Name": catalogued(bucket),
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "org", "Type": "string"}, {"Name": "month", "Type": "string"}],
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            "projection.enabled": "true",
            "projection.org.type": "injected",
            "projection.month.type": "date",
            "projection.month.format": "yyyy-MM",
            "projection.month.range": "2024-01,NOW+1MONTHS",
            "projection.month.interval": "1",
            "projection.month.interval.unit": "MONTHS",
            "storage.location.template": f"{root}org=${{org}}/month=${{month}}/",
        },
        "StorageDescriptor": {
            "Columns": [
                {"Name": column.name, "Type": TYPES[column.type], "Comment": column.about}
                for column in load_archive().columns
            ],
            "Location": root,
            "InputFormat": f"{parquet}.MapredParquetInputFormat",
            "OutputFormat": f"{parquet}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{parquet}.serde.ParquetHiveSerDe"},
        },
    }
