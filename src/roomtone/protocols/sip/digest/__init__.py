"""Digest authentication in both roles (RFC 7616, RFC 8760, RFC 3261, 22)."""

from __future__ import annotations

from roomtone.protocols.sip.digest.client import AnswerFailure, DigestClient, Login, answer_challenge
from roomtone.protocols.sip.digest.server import DigestPolicy, DigestServer, Secret, Verdict
from roomtone.protocols.sip.digest.values import (
    STRONGEST_FIRST,
    Algorithm,
    Challenge,
    Credentials,
    Qop,
    parse_challenges,
    parse_credentials,
    secret_hash,
)

__all__ = [
    "STRONGEST_FIRST",
    "Algorithm",
    "AnswerFailure",
    "Challenge",
    "Credentials",
    "DigestClient",
    "DigestPolicy",
    "DigestServer",
    "Login",
    "Qop",
    "Secret",
    "Verdict",
    "answer_challenge",
    "parse_challenges",
    "parse_credentials",
    "secret_hash",
]
