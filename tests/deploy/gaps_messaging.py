"""What ministack forgets of SES's domain identities, CloudWatch's alarms and Route 53's health checks."""

import re
from typing import Any
from xml.sax.saxutils import escape, unescape

IDENTITY = re.compile(r"/v2/email/identities/([^/]+)(/mail-from|/configuration-set|/dkim/signing)?")


def close() -> None:
    """Close the gaps of mail, alarms and health checks."""
    from ministack.services import cloudwatch, route53, ses_v2  # noqa: PLC0415 (they read settings on import)

    keep_identity_settings(ses_v2)
    sign_by_region(ses_v2)
    tell_alarm_settings(cloudwatch)
    keep_child_checks(route53)


def keep_identity_settings(ses_v2: Any) -> None:
    """Remember configuration set, key length and return address of an identity, and take what changes them."""
    handle = ses_v2.handle_request

    async def handle_and_keep(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        told = ses_v2.json.loads(body) if body else {}
        found = IDENTITY.fullmatch(path.rstrip("/"))
        if method == "PUT" and found and found[2]:
            identity = ses_v2._identities.get(found[1])
            if identity is None:
                return ses_v2._json_err("NotFoundException", f"Identity {found[1]} not found", 404)
            keep(identity, told)
            return ses_v2.json_response({})
        answer = await handle(method, path, headers, body, query)
        if method == "POST" and path.rstrip("/") == "/v2/email/identities":
            keep(ses_v2._identities[told["EmailIdentity"]], told)
        return answer

    ses_v2.handle_request = handle_and_keep


def sign_by_region(ses_v2: Any) -> None:
    """Give a domain other DKIM tokens in each region, as SES does: their records lie beside each other."""
    tokens = ses_v2._dkim_tokens
    ses_v2._dkim_tokens = lambda domain: tokens(f"{ses_v2.get_region()}/{domain}")


def keep(identity: dict[str, Any], told: dict[str, Any]) -> None:
    """Put what a request tells into the identity."""
    if "ConfigurationSetName" in told:
        identity["ConfigurationSetName"] = told["ConfigurationSetName"]
    if "MailFromDomain" in told:
        identity["MailFromAttributes"] = {
            "BehaviorOnMxFailure": told.get("BehaviorOnMxFailure", "USE_DEFAULT_VALUE"),
            "MailFromDomain": told["MailFromDomain"],
            "MailFromDomainStatus": "PENDING",
        }
    signing = told.get("DkimSigningAttributes") or told.get("SigningAttributes") or {}
    if "NextSigningKeyLength" in signing:
        identity["DkimAttributes"]["NextSigningKeyLength"] = signing["NextSigningKeyLength"]


ALARM_SETTINGS = ("AlarmDescription", "Statistic", "ExtendedStatistic", "Period", "TreatMissingData", "Unit")
ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


def tell_alarm_settings(cloudwatch: Any) -> None:
    """Tell all of an alarm to those who ask in the query protocol; what is kept is told in the others."""
    describe = cloudwatch._describe_alarms

    def describe_wholly(parameters: Any, decoded: Any, is_cbor: bool, is_json: bool = False) -> Any:
        status, headers, body = describe(parameters, decoded, is_cbor, is_json)
        if is_cbor or is_json or status != 200:
            return status, headers, body

        def settings(found: re.Match[str]) -> str:
            return found[0] + alarm_settings(cloudwatch._alarms.get(unescape(found[1])) or {})

        text = body.decode() if isinstance(body, bytes) else body
        text = re.sub(r"<member><AlarmName>([^<]*)</AlarmName>", settings, text)
        return status, headers, text.encode()

    cloudwatch._describe_alarms = describe_wholly


def alarm_settings(alarm: dict[str, Any]) -> str:
    """Return what ministack leaves out of an alarm, as CloudWatch tells it."""
    told = [f"<{name}>{escape(str(alarm[name]))}</{name}>" for name in ALARM_SETTINGS if alarm.get(name)]
    for name in ALARM_ACTIONS:
        members = "".join(f"<member>{escape(arn)}</member>" for arn in alarm.get(name, []))
        told += [f"<{name}>{members}</{name}>"]
    dimensions = "".join(
        f"<member><Name>{escape(part['Name'])}</Name><Value>{escape(part['Value'])}</Value></member>"
        for part in alarm.get("Dimensions", [])
    )
    enabled = str(alarm.get("ActionsEnabled", True)).lower()
    return f"{''.join(told)}<ActionsEnabled>{enabled}</ActionsEnabled><Dimensions>{dimensions}</Dimensions>"


def keep_child_checks(route53: Any) -> None:
    """Read the names in a health check's list of children, where it looks for another list in each."""
    parse = route53._parse_health_check_config

    def parse_wholly(config: Any) -> dict[str, Any]:
        parsed: dict[str, Any] = parse(config)
        children = route53._find(config, "ChildHealthChecks")
        if children is not None:
            parsed["ChildHealthChecks"] = [child.text for child in route53._findall(children, "ChildHealthCheck")]
        return parsed

    route53._parse_health_check_config = parse_wholly
