//! The front door: HTTP/1.1 and 2, TLS, proxying to the application.
