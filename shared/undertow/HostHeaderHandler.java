package io.undertow.server.handlers;

import io.undertow.server.HandlerWrapper;

/// Stands in for Undertow's class of this name, because the class path has ours first.
/// Undertow runs its own before every handler: it answers a missing or malformed Host with
/// a bare 400, and no option turns that off. But `shared.Serve` has to see such requests,
/// to answer 421: a foreign Host is how DNS rebinding shows (RFC 9110 section 15.5.20).
public final class HostHeaderHandler {
    public static final HandlerWrapper WRAPPER = handler -> handler;

    private HostHeaderHandler() {}
}
