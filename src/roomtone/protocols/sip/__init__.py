"""SIP: messages, transactions, dialogs, user agents. Pure: it opens nothing, sleeps never and reads no clock."""
