"""Headers as nearly all messages have them: what follows needs no closer look then, and no value to be made of it."""

from __future__ import annotations

import re

PLAIN_ADDRESS = re.compile(
    rb"(?:\"[^\"\\]*\"|[^\"<>,;]*)[ \t]*<([^<> \t\"]*)>(?:;tag=([A-Za-z0-9\-.!%*_+`'~]+))?"
).fullmatch
PLAIN_CONTACT = re.compile(rb"<([^<>\s\",]*)>").fullmatch
_SENT_BY = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9\-._]*)(?::(?:[1-5]?[0-9]{1,4}|6[0-4][0-9]{3}))?"
_NAME = rb"[A-Za-z0-9\-.!%*_+`'~]+"
_VALUE = rb"[A-Za-z0-9\-.!%*_+`'~:@/\[\]]+"
_PARAMS = rb"(?:;%b(?:=%b)?)*" % (_NAME, _VALUE)
PLAIN_VIA = re.compile(rb"SIP/2\.0/[A-Za-z]+ %b%b" % (_SENT_BY, _PARAMS)).fullmatch
PLAIN_BRANCH = re.compile(
    rb"SIP/2\.0/[A-Za-z]+ (%b)(?:;(?!branch)%b(?:=%b)?)*;branch=(z9hG4bK%b)%b"
    % (_SENT_BY, _NAME, _VALUE, _VALUE, _PARAMS)
).fullmatch
"""A plain Via whose branch identifies the transaction (RFC 3261, 8.1.1.7): sent-by, and the branch."""
