"""SIP for programs: an `Endpoint` registers, calls, transfers, subscribes; a `Server` takes what peers begin.

    async with Endpoint(engine=engine) as phone:
        await phone.register(account := Account("ada", "secret", "example.org"))
        call = await phone.call("sip:bob@example.org", account=account)
        await call.wait_answered()
        await call.play_tone(440, 2.0)

Names here are thin over `roomtone.protocols.sip` (RFC 3261 and its kin, sans-IO) and `roomtone.servers.sip` (sockets);
sound is `roomtone.media`'s. Without an engine a program gives descriptions (RFC 4566) of its own.
"""

from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import Address
from roomtone.servers.sip import Certificate, Listen, TlsError, TlsOptions, TransportOptions
from roomtone.sip.account import Account
from roomtone.sip.call import Call
from roomtone.sip.endpoint import Endpoint
from roomtone.sip.ends import CallEnd, CallState, EndReason
from roomtone.sip.errors import PeerError, Refusal, SipCode, SipError, UseError
from roomtone.sip.inbound import InboundCall
from roomtone.sip.living import OutboundCall
from roomtone.sip.registration import Registration, RegistrationState
from roomtone.sip.requests import InboundRequest, Received
from roomtone.sip.server import Server
from roomtone.sip.transfer import TransferRequest
from roomtone.sip.watching import SubscribeRequest, Watch, Watcher
from roomtone.sip.wiring import EndpointCounters, EndpointLimits

__all__ = [
    "Account",
    "Address",
    "Call",
    "CallEnd",
    "CallState",
    "Certificate",
    "EndReason",
    "Endpoint",
    "EndpointCounters",
    "EndpointLimits",
    "InboundCall",
    "InboundRequest",
    "Listen",
    "MediaSecurity",
    "OutboundCall",
    "PeerError",
    "Received",
    "Refusal",
    "Registration",
    "RegistrationState",
    "Server",
    "SipCode",
    "SipError",
    "SipSyntaxError",
    "SubscribeRequest",
    "TlsError",
    "TlsOptions",
    "TransferRequest",
    "Transport",
    "TransportOptions",
    "UseError",
    "Watch",
    "Watcher",
]
