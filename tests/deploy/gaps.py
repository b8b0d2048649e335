"""What ministack forgets of what Terraform tells it, remembered.

Each function closes one gap. Left open, every plan after an apply would show a change that AWS would not show.
"""

import re
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tests.deploy import gateway_gaps

Parameters = dict[str, Any]


def close() -> None:
    """Close all gaps; ministack must have been configured, and not be serving yet."""
    from ministack.services import apigateway_v1, dynamodb, ec2, s3  # noqa: PLC0415 (settings are read on import)

    keep_endpoint_settings(ec2)
    keep_flow_log_settings(ec2)
    keep_replica_keys(dynamodb)
    keep_tags_of_large_objects(s3)
    gateway_gaps.close(apigateway_v1)


def keep_endpoint_settings(ec2: Any) -> None:
    """Remember policy, security groups and private DNS of VPC endpoints, which are taken and not told."""
    create, fields_of = ec2._ACTION_MAP["CreateVpcEndpoint"], ec2._vpce_fields_xml

    def create_and_keep(parameters: Parameters) -> Any:
        before = set(ec2._vpc_endpoints)
        answer = create(parameters)
        for name in set(ec2._vpc_endpoints) - before:
            ec2._vpc_endpoints[name] |= {
                "PolicyDocument": ec2._p(parameters, "PolicyDocument"),
                "PrivateDns": ec2._p(parameters, "PrivateDnsEnabled") or "false",
                "Groups": ec2._parse_member_list(parameters, "SecurityGroupId"),
            }
        return answer

    def fields_and_settings(endpoint: dict[str, Any], tag: str = "item") -> str:
        groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in endpoint.get("Groups", []))
        return str(fields_of(endpoint, tag)).removesuffix(f"</{tag}>") + (
            f"<policyDocument>{escape(endpoint.get('PolicyDocument', ''))}</policyDocument>"
            f"<privateDnsEnabled>{endpoint.get('PrivateDns', 'false')}</privateDnsEnabled>"
            f"<groupSet>{groups}</groupSet></{tag}>"
        )

    ec2._ACTION_MAP["CreateVpcEndpoint"] = create_and_keep
    ec2._vpce_fields_xml = fields_and_settings


def keep_flow_log_settings(ec2: Any) -> None:
    """Remember role, interval and tags of flow logs; without the first two each plan would make them anew."""
    create, describe = ec2._ACTION_MAP["CreateFlowLogs"], ec2._ACTION_MAP["DescribeFlowLogs"]

    def create_and_keep(parameters: Parameters) -> Any:
        before = set(ec2._flow_logs)
        answer = create(parameters)
        for name in set(ec2._flow_logs) - before:
            ec2._parse_tag_specs(parameters, "vpc-flow-log", name)
            ec2._flow_logs[name] |= {
                "Role": ec2._p(parameters, "DeliverLogsPermissionArn"),
                "Interval": ec2._p(parameters, "MaxAggregationInterval") or "600",
            }
        return answer

    def describe_with_settings(parameters: Parameters) -> Any:
        status, headers, body = describe(parameters)

        def settings(found: re.Match[str]) -> str:
            kept = ec2._flow_logs[found[1]]
            return (
                f"{found[0]}<deliverLogsPermissionArn>{kept['Role']}</deliverLogsPermissionArn>"
                f"<maxAggregationInterval>{kept['Interval']}</maxAggregationInterval>"
            )

        text = body.decode() if isinstance(body, bytes) else body
        text = re.sub(r"<flowLogId>(fl-\w+)</flowLogId>", settings, text)
        return status, headers, text.encode()

    ec2._ACTION_MAP["CreateFlowLogs"] = create_and_keep
    ec2._ACTION_MAP["DescribeFlowLogs"] = describe_with_settings


def keep_replica_keys(dynamodb: Any) -> None:
    """Give a replica the key its region was told, not that of the table it copies."""
    apply_updates = dynamodb._apply_replica_updates

    def apply_and_keep(name: str, table: Any, updates: list[dict[str, dict[str, str]]]) -> Any:
        answer = apply_updates(name, table, updates)
        for update in updates:
            told = update.get("Create") or update.get("Update") or {}
            if answer is None and "KMSMasterKeyId" in told:
                replica = dynamodb._tables.get_scoped(dynamodb.get_account_id(), told["RegionName"], name)
                encryption = replica.get("SSEDescription") or {"Status": "ENABLED", "SSEType": "KMS"}
                replica["SSEDescription"] = encryption | {"KMSMasterKeyArn": told["KMSMasterKeyId"]}
        return answer

    dynamodb._apply_replica_updates = apply_and_keep


def keep_tags_of_large_objects(s3: Any) -> None:
    """Tag what comes in parts, as packages of 5 MB and more do, like what comes at once."""
    create, complete = s3._create_multipart_upload, s3._complete_multipart_upload

    def create_and_keep(bucket: str, key: str, headers: dict[str, str]) -> Any:
        before = set(s3._multipart_uploads)
        answer = create(bucket, key, headers)
        for upload in set(s3._multipart_uploads) - before:
            s3._multipart_uploads[upload]["tags"] = dict(parse_qsl(headers.get("x-amz-tagging", "")))
        return answer

    def complete_and_tag(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId")) or {}
        answer = complete(bucket, key, body, query, headers)
        if answer[0] == 200 and upload.get("tags"):
            version = s3._buckets[bucket]["objects"][key].get("version_id")
            s3._object_tags[bucket, key, version] = upload["tags"]
        return answer

    s3._create_multipart_upload = create_and_keep
    s3._complete_multipart_upload = complete_and_tag
