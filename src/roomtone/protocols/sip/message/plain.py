"""Headers as nearly all messages have them: what follows needs no closer look then, and no value to be made of it."""

from __future__ import annotations

import re

PLAIN_ADDRESS = re.compile(
    rb"(?:\"[^\"\\]*\"|[^\"<>,;]*)[ \t]*<([^<> \t\"]*)>(?:;tag=([A-Za-z0-9\-.!%*_+`'~]+))?"
).fullmatch
PLAIN_VIA = re.compile(
    rb"SIP/2\.0/[A-Za-z]+ (?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9\-._]*)(?::[1-5]?[0-9]{1,4})?"
    rb"(?:;[A-Za-z0-9\-.!%*_+`'~]+(?:=[A-Za-z0-9\-.!%*_+`'~:@/\[\]]+)?)*"
).fullmatch
