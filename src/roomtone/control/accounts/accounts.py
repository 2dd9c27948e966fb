"""Accounts: registering, profiles, passwords, room tokens, and what administrators do with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.control.accounts.log_ins import LogIn, LogIns
from roomtone.control.accounts.names import read_display_name, read_email, read_username
from roomtone.control.accounts.parts import AccountParts, new_id
from roomtone.control.accounts.passwords import require_strength
from roomtone.control.accounts.ports import Mail
from roomtone.control.accounts.recovery import Recovery, reset_digest
from roomtone.control.accounts.second_factor import SecondFactor
from roomtone.control.policy.attempts import AttemptKind
from roomtone.control.policy.roles import Role, room_grants
from roomtone.control.policy.tokens import ROOM_ISSUER
from roomtone.observe import AuditKind, get_logger
from roomtone.store import AccountRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from roomtone.control.policy.tokens import AccessToken

_log = get_logger(__name__)

_MAX_RESET_TOKEN = 128


class Accounts:
    """All that can be done with accounts. ``log_ins``, ``second_factor`` and ``recovery`` are its further parts."""

    def __init__(self, parts: AccountParts) -> None:
        self.parts = parts
        self.second_factor = SecondFactor(parts)
        self.log_ins = LogIns(parts, self.second_factor)
        self.recovery = Recovery(parts, self.log_ins)

    async def register(self, username: str, password: str, email: str | None, name: str, address: str) -> LogIn:
        """Make an account for whoever asks, where registration is open, and log it in."""
        if not self.parts.rules.registration:
            raise AccountError(
                AccountRefusal.REGISTRATION_CLOSED, "this server lets nobody register: ask its operators"
            )
        subject = (f"address:{address}", self.parts.rules.registrations)
        await self.parts.limiter.take(AttemptKind.REGISTER, [subject], self.parts.clock())
        account = await self.create(username, password, email, name, Role.MEMBER, address=address)
        return await self.log_ins.open(account)

    async def create(
        self,
        username: str,
        password: str,
        email: str | None,
        name: str,
        role: Role,
        *,
        address: str = "",
        actor: str = "",
    ) -> AccountRecord:
        """Make an account."""
        now = self.parts.clock()
        username, email, name = read_username(username), read_email(email), read_display_name(name)
        require_strength(password, self.parts.rules.min_password_length, username, email or "", name)
        account = AccountRecord(
            id=new_id("a"),
            username=username,
            role=role.value,
            password_hash=await self.parts.hasher.hash(password),
            email=email,
            name=name,
            created_at=now,
            updated_at=now,
        )
        try:
            await self.parts.tables.accounts.add(account)
        except StoreError as error:
            self.parts.note(AuditKind.ACCOUNT_CREATED, error.failure.value, account=username, address=address)
            raise _taken(error) from error
        detail = f"role {role.value}"
        self.parts.note(AuditKind.ACCOUNT_CREATED, account=username, actor=actor, address=address, detail=detail)
        return account

    async def of(self, token: AccessToken) -> AccountRecord:
        """Give the account whose access token this is; raise `AccountError` where it is none's."""
        if token.account_id is None or token.role is None:
            raise AccountError(AccountRefusal.NO_ACCOUNT, "log in: this needs an account's access token")
        account = await self.find(token.account_id)
        if account.disabled:
            raise AccountError(AccountRefusal.NO_ACCOUNT, "the account is locked")
        return account

    async def find(self, account_id: str) -> AccountRecord:
        """Give an account by its id."""
        account = await self.parts.tables.accounts.get(account_id)
        if account is None:
            raise _no_such_account()
        return account

    async def change_profile(
        self, account: AccountRecord, *, name: str | None, email: str | None, password: str | None, address: str
    ) -> AccountRecord:
        """Change name or mail address; none leaves it. Another address takes the password, as it can reset that."""
        values: dict[str, object] = {"updated_at": self.parts.clock()}
        if name is not None:
            values["name"] = read_display_name(name)
        if email is not None and read_email(email) != account.email:
            await self.log_ins.require_password(account, password or "", address)
            values["email"] = read_email(email)
        try:
            changed = await self.parts.tables.accounts.update(account.id, **values)
        except StoreError as error:
            raise _taken(error) from error
        if changed is None:
            raise _no_such_account()
        detail = ", ".join(key for key in ("name", "email") if key in values)
        self.parts.note(AuditKind.ACCOUNT_CHANGED, account=account.username, address=address, detail=detail)
        return changed

    async def change_password(self, account: AccountRecord, old: str, new: str, address: str) -> LogIn:
        """Set another password; all log-ins end, and a new one begins."""
        await self.log_ins.require_password(account, old, address)
        changed = await self._set_password(account, new)
        self.parts.note(AuditKind.PASSWORD_CHANGED, account=account.username, address=address)
        return await self.log_ins.open(changed)

    async def remove_totp(self, account: AccountRecord, password: str, code: str | None, address: str) -> None:
        """Ask for no one-time passwords any more; takes the password, and one of them where they are in use."""
        await self.log_ins.require_password(account, password, address)
        if account.totp_sealed is None:
            raise AccountError(AccountRefusal.TOTP_NOT_SET_UP, "no one-time passwords were set up")
        if account.totp_active and not (code and await self.second_factor.check(account, code, address)):
            refusal = AccountRefusal.BAD_TOTP if code else AccountRefusal.TOTP_REQUIRED
            self.parts.note(AuditKind.TOTP_REMOVED, refusal.value, account=account.username, address=address)
            raise AccountError(refusal, "a one-time password that was not used before is needed")
        await self.second_factor.remove(account, address)

    async def forgot_password(self, login: str, base_url: str, address: str) -> None:
        """Mail a link that sets a new password. Nothing tells whether there is such an account."""
        rules, login = self.parts.rules, login.strip().lower()
        if self.parts.mailer is None and not rules.log_links:
            raise AccountError(
                AccountRefusal.NO_MAIL, "this server sends no mail: ask its operators for a new password"
            )
        subjects = [(f"account:{login}", rules.resets), (f"address:{address}", rules.logins_of_address)]
        await self.parts.limiter.take(AttemptKind.RESET, subjects, self.parts.clock())
        account = await self.parts.tables.accounts.find(login)
        known = account is not None and not account.disabled
        outcome = "ok" if known and account is not None and account.email else "nobody_to_mail"
        self.parts.note(AuditKind.RESET_REQUESTED, outcome, account=login, address=address)
        if account is None or account.disabled or (self.parts.mailer is not None and account.email is None):
            return
        link = (await self.recovery.new_link(account, base_url)).url
        if self.parts.mailer is not None and account.email is not None:
            self.parts.mailer.send(_reset_mail(account.email, account.username, link, rules.reset_ttl_s))
        else:
            _log.warning("link that resets a password", account=account.username, link=link)

    async def reset_password(self, token: str, new: str, address: str) -> LogIn:
        """Set a new password with a link that was mailed; all log-ins end, and a new one begins."""
        subject = (f"address:{address}", self.parts.rules.logins_of_address)
        await self.parts.limiter.take(AttemptKind.RESET, [subject], self.parts.clock())
        tables, now = self.parts.tables, self.parts.clock()
        digest = reset_digest(self.parts, token[:_MAX_RESET_TOKEN])
        record = await tables.reset.get(digest)
        account = None if record is None else await tables.accounts.get(record.account_id)
        # The password is checked first, so that one that is refused does not use up the link.
        self._require_strength(account, new)
        if account is None or account.disabled or await tables.reset.use(digest, now) is None:
            self.parts.note(AuditKind.PASSWORD_RESET, AccountRefusal.BAD_RESET_TOKEN.value, address=address)
            raise AccountError(AccountRefusal.BAD_RESET_TOKEN, "the link is unknown, used or too old: ask for another")
        changed = await self._set_password(account, new)
        self.parts.note(AuditKind.PASSWORD_RESET, account=account.username, address=address)
        # A second factor is still asked for, at the next log-in: mail alone does not replace it.
        if changed.totp_active:
            raise AccountError(AccountRefusal.TOTP_REQUIRED, "the password is changed; log in with a one-time password")
        return await self.log_ins.open(changed)

    async def room_token(self, token: AccessToken, room: str, address: str) -> tuple[str, str, float]:
        """Sign a token for a room by the account's role: the token, the identity in the room, when it expires."""
        rules, now = self.parts.rules, self.parts.clock()
        account = await self.of(token)
        subjects = [(f"account:{account.id}", rules.room_tokens), (f"address:{address}", rules.room_tokens_of_address)]
        await self.parts.limiter.take(AttemptKind.ROOM_TOKEN, subjects, now)
        signed = self.parts.keys.sign(
            ROOM_ISSUER,
            account.username,
            room_grants(Role(account.role), room),
            now,
            rules.room_token_ttl_s,
            iat=now,
            account=account.id,
            family=token.family,
            name=account.name or account.username,
        )
        self.parts.note(AuditKind.ROOM_TOKEN, account=account.username, address=address, detail=room)
        return signed, account.username, int(now) + rules.room_token_ttl_s

    async def change_role(self, account_id: str, role: Role, actor: AccountRecord, address: str) -> AccountRecord:
        """Give an account another role, which its next access token has; those it holds end."""
        account = await self.find(account_id)
        now = self.parts.clock()
        changed = await self._change(
            account, takes_admin=role is not Role.ADMIN, role=role.value, tokens_valid_after=now, updated_at=now
        )
        self.parts.gate.withdraw(account_id, now)
        detail = f"{account.role} to {role.value}"
        self.parts.note(
            AuditKind.ROLE_CHANGED, account=account.username, actor=actor.username, address=address, detail=detail
        )
        return changed

    async def set_disabled(
        self, account_id: str, actor: AccountRecord, address: str, *, disabled: bool
    ) -> AccountRecord:
        """Lock an account out, or let it in again; what it holds ends at once."""
        account = await self.find(account_id)
        now = self.parts.clock()
        changed = await self._change(
            account, takes_admin=disabled, disabled=disabled, tokens_valid_after=now, updated_at=now
        )
        await self.log_ins.end_all(account_id)
        kind = AuditKind.ACCOUNT_DISABLED if disabled else AuditKind.ACCOUNT_ENABLED
        self.parts.note(kind, account=account.username, actor=actor.username, address=address)
        return changed

    async def _change(self, account: AccountRecord, *, takes_admin: bool, **values: Any) -> AccountRecord:
        """Change an account; what may take an administrator away leaves one, also when two do so at once."""
        table = self.parts.tables.accounts
        if not takes_admin:
            return await table.update(account.id, **values) or replace(account, **values)
        if not await table.update_unless_last(account.id, Role.ADMIN.value, **values):
            raise AccountError(AccountRefusal.LAST_ADMIN, "this is the last administrator: make another one first")
        return await table.get(account.id) or replace(account, **values)

    async def _set_password(self, account: AccountRecord, new: str) -> AccountRecord:
        self._require_strength(account, new)
        hashed = await self.parts.hasher.hash(new)
        now = self.parts.clock()
        changed = await self.parts.tables.accounts.update(
            account.id, password_hash=hashed, tokens_valid_after=now, updated_at=now
        )
        if changed is None:
            raise _no_such_account()
        await self.log_ins.end_all(account.id)
        return changed

    def _require_strength(self, account: AccountRecord | None, new: str) -> None:
        about = () if account is None else (account.username, account.email or "", account.name)
        require_strength(new, self.parts.rules.min_password_length, *about)


def _taken(error: StoreError) -> Exception:
    if error.failure is not StoreFailure.TAKEN:
        return error
    return AccountError(AccountRefusal.NAME_TAKEN, "the user name or mail address is in use")


def _no_such_account() -> AccountError:
    return AccountError(AccountRefusal.NO_SUCH_ACCOUNT, "there is no such account")


def _reset_mail(to: str, username: str, link: str, ttl_s: int) -> Mail:
    minutes = max(1, ttl_s // 60)
    text = (
        f"Somebody, probably you, asked for a new password of the account {username}.\n\n"
        f"Set it here within {minutes} minutes:\n{link}\n\n"
        "If it was not you, there is nothing to do: the password stays as it is.\n"
    )
    return Mail(to, "A new password", text)
