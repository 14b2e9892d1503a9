"""News of CRMs: verified by each one's own way, on the disk, acknowledged; understood later."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from audience import crm_salesforce
from audience.crm import GENERIC, HUBSPOT, PIPEDRIVE, SALESFORCE
from pigeonry.config import CrmSettings
from pigeonry.service.crm import secret_name, source_name
from pigeonry.web.hooks import crm_signatures as signatures
from pigeonry.web.limits import Turned
from pigeonry.web.site import Site, TheSite

router = APIRouter()


@router.post("/hooks/crm/{source}")
async def news(request: Request, source: str, site: TheSite) -> Response:
    """HubSpot's and Standard Webhooks' signatures, and Pipedrive's name and password."""
    settings, keys = _settings(site, source)
    async with site.budgets["crm"].body(request, site.max_body) as body:
        if not _signed(request, source, settings, keys, body, site):
            raise _unsigned()
        return await _keep(site, source, settings, body, request)


@router.post("/hooks/crm/{source}/{token}")
async def addressed(request: Request, source: str, token: str, site: TheSite) -> Response:
    """For those that can sign nothing: the address itself is the secret."""
    settings, keys = _settings(site, source)
    if settings.kind not in (SALESFORCE, PIPEDRIVE) or not signatures.token(keys, token):
        raise _unsigned()
    async with site.budgets["crm"].body(request, site.max_body) as body:
        return await _keep(site, source, settings, body, request)


def _unsigned() -> Turned:
    return Turned(401, "not signed by anybody whom we know", reason="unsigned")


def _settings(site: Site, source: str) -> tuple[CrmSettings, tuple[bytes, ...]]:
    settings = site.home.settings.crm.get(source)
    if settings is None:
        raise Turned(404, "there is no such source", reason="unknown_source")
    text = site.secret(secret_name(source))
    keys = signatures.lines(text) if settings.kind == PIPEDRIVE else signatures.secrets(text)
    if not keys:
        raise Turned(503, "source not configured", reason="not_configured", retry_after=300)
    return settings, keys


def _signed(
    request: Request,
    source: str,
    settings: CrmSettings,
    keys: tuple[bytes, ...],
    body: bytes,
    site: Site,
) -> bool:
    if settings.kind == HUBSPOT:
        return signatures.hubspot(
            keys,
            request.headers,
            method=request.method,
            uri=_address(request, source, settings, site),
            body=body,
            now=site.clock(),
            oldest=settings.oldest_signature,
        )
    if settings.kind == GENERIC:
        return signatures.standard(keys, request.headers, body=body, now=site.clock())
    if settings.kind == PIPEDRIVE:
        return signatures.password(keys, request.headers.get("authorization", ""))
    return False  # Salesforce signs nothing: its secret is in the address


def _address(request: Request, source: str, settings: CrmSettings, site: Site) -> str:
    """The address that the CRM called. Never from the Host header, which a proxy or a stranger writes."""
    base = site.home.settings.links.base_url.rstrip("/")
    address = settings.url or f"{base}/hooks/crm/{source}"
    query = request.scope["query_string"].decode("latin-1")
    return f"{address}?{query}" if query else address


async def _keep(
    site: Site, source: str, settings: CrmSettings, body: bytes, request: Request
) -> Response:
    answer = Response(status_code=200)
    if settings.kind == SALESFORCE:
        try:
            await run_in_threadpool(crm_salesforce.read, body)
        except ValueError as error:
            raise Turned(400, str(error), reason="bad_xml") from error
        answer = Response(crm_salesforce.ACK, 200, media_type="text/xml")
    headers = {}
    if settings.kind == GENERIC:
        headers["webhook-id"] = request.headers.get(signatures.STANDARD_ID, "")[:200]
    await site.keep(source_name(source), body, headers)
    site.crm_came.set()
    site.count("crm_posts")
    return answer
