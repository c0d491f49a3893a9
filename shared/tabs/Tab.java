package shared.tabs;

//FILES tab.html
//FILES tab.js

import io.undertow.server.HttpServerExchange;
import io.undertow.util.Headers;
import shared.Http;
import shared.Routes;
import shared.page.Page;

/// A small page that stands for a browser's tab, in a frame of a lesson's page or alone.
public final class Tab {
    private Tab() {}

    /// Serves it at `/tab?tab=NAME&doc=NAME&person=NAME&as=own|socket|shared`; `times` is how many
    /// streams it opens as `own`.
    ///
    /// @param scripts the lesson's, which the tab calls
    public static Routes mount(Routes routes, String... scripts) {
        return routes
                .get("/tab", exchange -> send(exchange, "text/html; charset=utf-8",
                        Page.resource("/tab.html")))
                .get("/tab.js", exchange -> send(exchange, "text/javascript",
                        String.join("\n", scripts) + Page.resource("/tab.js")));
    }

    private static void send(HttpServerExchange exchange, String type, String text) {
        exchange.getResponseHeaders().put(Headers.CACHE_CONTROL, "no-store");
        Http.send(exchange, 200, type, text);
    }
}
