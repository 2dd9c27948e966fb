"""Mail by SMTP."""

from roomtone.clients.mail.smtp import SmtpMailer, SmtpServer

__all__ = ["SmtpMailer", "SmtpServer"]
