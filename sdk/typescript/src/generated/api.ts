// Generated from api/openapi.json by `npm run generate`; not to be edited.

export interface paths {
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description as a page */
        get: operations["page"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/__clock": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Move the hub's time; only with --dev --test-clock */
        post: operations["advance_clock"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/backup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A consistent copy of the database, made while the hub works */
        post: operations["backup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/commands": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ask for something to be done, once: the same correlationId gives the same answer for a day */
        post: operations["command"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/consumers/{subscription}/ack": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Acknowledge deliveries; leases that are not held any more are named */
        post: operations["ack"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/consumers/{subscription}/extend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Move the end of a lease to ms from now */
        post: operations["extend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/consumers/{subscription}/nack": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Refuse a delivery: tried again after delay_ms, or by the retry schedule */
        post: operations["nack"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/consumers/{subscription}/pull": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take deliveries under leases; waits for the first up to wait_ms */
        post: operations["pull"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Dead letters */
        get: operations["list_dead_letters"];
        put?: never;
        post?: never;
        /** Give up the dead letters of a subscription, or all */
        delete: operations["delete_dead_letters"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters/redrive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try dead letters again: one, those of a subscription, or all */
        post: operations["redrive_dead_letters"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One dead letter with all its attempts */
        get: operations["get_dead_letter"];
        put?: never;
        post?: never;
        /** Give up one dead letter */
        delete: operations["delete_dead_letter"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dead-letters/{id}/redrive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try one dead letter again */
        post: operations["redrive_dead_letter"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Deliveries out of the ordinary: retrying, dead, or kept with their exchange */
        get: operations["list_deliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deliveries/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One delivery with all its attempts */
        get: operations["get_delivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/endpoints": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Endpoints with the state of their breakers */
        get: operations["list_endpoints"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Query the log by time, source, type, subject, correlation */
        get: operations["query_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Server-sent events; resume with Last-Event-ID */
        get: operations["stream"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** WebSocket: every event that the token may see */
        get: operations["socket_everything"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One event */
        get: operations["get_event"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events/{id}/fate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What became of an event: matched, delivered when, retrying or dead why */
        get: operations["event_fate"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether it is well, and each of its parts */
        get: operations["health_enveloped"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The end of the log */
        get: operations["log_head"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log/checkpoint": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A signed statement of the log's present end, to be kept elsewhere */
        get: operations["log_checkpoint"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Events as JSON lines */
        get: operations["export_log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Store exported events; those that are there already are repeats */
        post: operations["import_log"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log/redact": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Erase the data of an event, or of all events about a subject; the chain still verifies */
        post: operations["redact"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/log/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Check the hash chain, and against a checkpoint that nothing was cut off */
        post: operations["verify_log"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/replays": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Replays with their progress */
        get: operations["list_replays"];
        put?: never;
        /** Deliver old events to a subscription again, marked as a replay; dry_run counts them */
        post: operations["start_replay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/replays/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One replay */
        get: operations["get_replay"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/replays/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop a replay where it is */
        post: operations["cancel_replay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/secrets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Names of the secrets for ${secret:NAME} */
        get: operations["list_secrets"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/secrets/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Set a named secret */
        put: operations["put_secret"];
        post?: never;
        /** Remove a named secret */
        delete: operations["delete_secret"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sources": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List sources, never their secrets */
        get: operations["list_sources"];
        put?: never;
        /** Add a source; without a secret it gets one, shown this once */
        post: operations["create_source"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sources/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One source */
        get: operations["get_source"];
        put?: never;
        post?: never;
        /** Remove a source with its secrets */
        delete: operations["delete_source"];
        options?: never;
        head?: never;
        /** Change a source; absent fields stay */
        patch: operations["update_source"];
        trace?: never;
    };
    "/api/v1/sources/{id}/secrets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Add a secret; the older ones go on for overlap_seconds, or until removed */
        post: operations["add_source_secret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sources/{id}/secrets/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove a secret at once */
        delete: operations["remove_source_secret"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/conflicts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Conflicts that wait for a choice, as far as the token may read their keys */
        get: operations["list_state_conflicts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/conflicts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One conflict */
        get: operations["get_state_conflict"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/conflicts/{id}/resolve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End a conflict: keep what stands, take what was wanted, or write another value */
        post: operations["resolve_state_conflict"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/policies": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Rules for conflicts, the longest prefix first */
        get: operations["list_state_policies"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/policies/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Set what becomes of conflicts of the keys that begin with a prefix */
        put: operations["set_state_policy"];
        post?: never;
        /** Remove a rule for conflicts */
        delete: operations["remove_state_policy"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/summary": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How many conflicts there were, how many wait, and the last one */
        get: operations["state_summary"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/transactions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Change several keys, all or none; with checks, and with a time to confirm */
        post: operations["state_transaction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/transactions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A transaction that is or was to be confirmed */
        get: operations["get_state_transaction"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/transactions/{id}/confirm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Confirm a transaction: it is not undone */
        post: operations["confirm_state_transaction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/transactions/{id}/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Undo a transaction that is not confirmed; keys that others changed since become conflicts */
        post: operations["roll_back_state_transaction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/state/watch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Server-sent events: every change of a key or of a prefix; resume with Last-Event-ID */
        get: operations["watch_state"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/subscriptions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List subscriptions */
        get: operations["list_subscriptions"];
        put?: never;
        /** Deliver matching events to an endpoint */
        post: operations["create_subscription"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/subscriptions/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One subscription */
        get: operations["get_subscription"];
        /** Make a subscription where there is none of this name; 409 where one differs */
        put: operations["ensure_subscription"];
        post?: never;
        /** Remove a subscription */
        delete: operations["delete_subscription"];
        options?: never;
        head?: never;
        /** Change a subscription; absent fields stay */
        patch: operations["update_subscription"];
        trace?: never;
    };
    "/api/v1/subscriptions/{name}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop delivering; events wait in the log */
        post: operations["pause_subscription"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/subscriptions/{name}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deliver again, from where it stopped */
        post: operations["resume_subscription"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/subscriptions/{name}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lag, retries, dead letters, breaker, and what it waits for */
        get: operations["subscription_status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/subscriptions/{name}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a sample and show the full exchange */
        post: operations["test_subscription"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tickets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Trade a token for a one-time ticket that opens a socket within 60 s */
        post: operations["create_ticket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List tokens and all other credentials (keys, node secrets, named secrets), never a secret */
        get: operations["list_tokens"];
        put?: never;
        /** Make a token with scopes you hold yourself, or keep a key for JSON Web Tokens; shown this once */
        post: operations["create_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One token; a token may look at itself */
        get: operations["get_token"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Give a token other scopes; open sockets are held to them at once */
        patch: operations["update_token"];
        trace?: never;
    };
    "/api/v1/tokens/{id}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End it at once, with every socket and stream opened with it. A token may revoke itself */
        post: operations["revoke_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/tokens/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Put a new one in its place; the old one goes on for graceSeconds. A token may rotate itself */
        post: operations["rotate_token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/{source}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same as GET /webhook/{source} */
        get: operations["webhook_api_challenge"];
        put?: never;
        /** The same as POST /webhook/{source} */
        post: operations["webhook_api"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same page */
        get: operations["docs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a signed event: NEO body, or CloudEvents structured, batch or binary */
        post: operations["ingest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events/{topic}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publish an event with a token */
        post: operations["publish"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/graphql": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A page to try GraphQL on; with ?query= and a token its answer; as a WebSocket graphql-transport-ws */
        get: operations["graphql_page"];
        put?: never;
        /** Run a GraphQL query or mutation; each field has its scope */
        post: operations["graphql"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether it is well; with a token, of which parts */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Figures in the OpenMetrics text format */
        get: operations["metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description */
        get: operations["openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Registered services and how they are */
        get: operations["list_services"];
        put?: never;
        /** Register an instance of a service; the same id again updates it (200) */
        post: operations["register_service"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The instance of this id, or the best of this name, with all of them */
        get: operations["get_service"];
        put?: never;
        post?: never;
        /** Take the instance of this id out */
        delete: operations["deregister_service"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{name}/heartbeat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The instance of this id lives, and is so busy */
        post: operations["service_heartbeat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{name}/invoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Call an instance of this service; its status and body are the answer */
        post: operations["invoke_service"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/state": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Keys by prefix, as far as the token may read them */
        get: operations["list_state"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/state/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The value and version of a key; a key may hold slashes */
        get: operations["get_state"];
        /** Set a key; with expected_version or If-Match only if nobody changed it meanwhile */
        put: operations["put_state"];
        post?: never;
        /** Delete a key; its versions go on with the deletion */
        delete: operations["delete_state"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/state/{key}/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The versions of a key that are kept, oldest first */
        get: operations["state_history"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhook/{source}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Answer a provider's challenge (X CRC, LinkedIn) */
        get: operations["webhook_challenge"];
        put?: never;
        /** Receive a provider's webhook, verified by the preset of the source */
        post: operations["webhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** WebSocket: subscribe with NEO or Core frames, publish with Core frames */
        get: operations["socket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Accepted: {
            count?: number;
            event?: string;
            /** @description for a batch */
            events?: Record<string, never>[];
            id?: string;
            seq?: number;
            /** @constant */
            status: "accepted";
        };
        Ack: {
            leases: string[];
        };
        Acked: {
            acked: number;
            /** @description leases that are not held any more */
            unheld: string[];
        };
        Advance: {
            /**
             * @example 7d
             * @example 1h30m
             */
            advance: string;
        };
        Anything: unknown;
        /** Format: binary */
        Binary: string;
        /** @description epoch, seq, hash, time, public_key, signature */
        Checkpoint: Record<string, never>;
        CloudEvent: {
            data?: unknown;
            id: string;
            source: string;
            /** @constant */
            specversion: "1.0";
            subject?: string;
            /** Format: date-time */
            time?: string;
            type: string;
        };
        CloudEventBatch: components["schemas"]["CloudEvent"][];
        Command: {
            correlationId: string;
            payload?: Record<string, never>;
            /** Format: date-time */
            timestamp?: string;
            /**
             * @example token.create
             * @example token.rotate
             * @example token.revoke
             */
            type: string;
        };
        ConsumerDelivery: {
            attempt: number;
            correlation_id?: string;
            /** @description the same at every attempt */
            delivery_id: string;
            /** @description the name in the form that the subscription asked for */
            event: string;
            id: string;
            /** @description settle it with this */
            lease: string;
            /** @description how long the lease lasts from when it was taken */
            lease_ms: number;
            payload: unknown;
            /** @description the replay that it belongs to, if any */
            replay?: number;
            seq: number;
            source?: string;
            subject?: string;
            subscription: string;
            /** Format: date-time */
            timestamp: string;
            topic: string;
        };
        Count: {
            [key: string]: number;
        };
        Delivery: {
            attempts?: Record<string, never>[];
            event?: string;
            event_id: string;
            id: string;
            /** Format: date-time */
            next_at?: string;
            seq?: number;
            /** @enum {string} */
            state: "retrying" | "dead" | "delivered";
            subscription: string;
        };
        DeliveryList: components["schemas"]["Delivery"][];
        EndpointList: Record<string, never>[];
        EnsuredSubscription: {
            active?: boolean;
            concurrency?: number;
            filter?: string;
            filters?: string[];
            keep_exchanges?: boolean;
            key?: string;
            max_attempts?: number;
            name?: string;
            /** @enum {string} */
            on_dead?: "continue" | "hold";
            ordered?: boolean;
            /** @description screened jq, true for what is wanted */
            predicate?: string;
            /** @description "1s,5s,30s" or a schedule */
            retry?: unknown;
            secret?: string;
            since?: number;
            /** @description {kind: webhook|http|handler|consumer, url, method, headers, body} */
            target?: Record<string, never>;
            timeout_ms?: number;
            url?: string;
        };
        Envelope: {
            data: unknown;
            error: null;
            /** @description beside the data of a list */
            next_cursor?: string | null;
            requestId: string;
            /** @constant */
            success: true;
            /** Format: date-time */
            timestamp: string;
        };
        EnvelopedProblem: {
            code: string;
            data?: unknown;
            details?: Record<string, never>;
            error: components["schemas"]["ProblemFields"];
            message: string;
            requestId: string;
            retryable?: boolean;
            /** @constant */
            success: false;
            /** Format: date-time */
            timestamp: string;
        };
        Event: {
            attributes?: Record<string, never>;
            causation_id?: string;
            correlation_id?: string;
            depth?: number;
            erased?: boolean;
            id: string;
            payload: unknown;
            /** @enum {string} */
            priority?: "LOW" | "NORMAL" | "HIGH" | "CRITICAL";
            /** Format: date-time */
            received?: string;
            seq: number;
            source: string;
            subject?: string;
            /** Format: date-time */
            time: string;
            type: string;
        };
        EventList: components["schemas"]["Event"][];
        /** @description request, response or error, latency_ms */
        Exchange: Record<string, never>;
        /** @description one event per line */
        ExportLine: Record<string, never>;
        Extend: {
            lease: string;
            /** @description absent: timeout_ms again */
            ms?: number;
        };
        Extended: {
            extended_ms: number;
            lease: string;
        };
        /** @description what became of the event, by subscription */
        Fate: Record<string, never>;
        FoundService: {
            /** @enum {string} */
            breaker?: "closed" | "open" | "half_open";
            capabilities: string[];
            /** @description a path or a URL; none = its port is knocked at */
            health_check_url: string | null;
            host: string;
            id: string;
            in_flight?: number;
            /** @description epoch seconds */
            last_check?: number;
            /** @description epoch seconds */
            last_heartbeat?: number;
            load: number;
            /** @description weight and strategy are read by the choice */
            metadata?: Record<string, never>;
            name: string;
            port: number;
            /** @enum {string} */
            protocol: "http" | "https";
            /** @description epoch seconds */
            registered_at?: number;
            services: components["schemas"]["Service"][];
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy" | "expired";
            status_reason?: string;
            ttl_seconds?: number;
            version: string;
        };
        GraphqlError: {
            extensions: {
                code: string;
                retryable: boolean;
            };
            locations?: Record<string, never>[];
            message: string;
            path?: (string | number)[];
        };
        GraphqlRequest: {
            operationName?: string | null;
            query: string;
            variables?: Record<string, never> | null;
        };
        GraphqlResponse: {
            data: Record<string, never> | null;
            errors?: components["schemas"]["GraphqlError"][];
        };
        /** @description epoch, seq, first, hash, time */
        Head: Record<string, never>;
        Health: {
            checks?: Record<string, never>;
            services?: Record<string, never>;
            stats?: Record<string, never>;
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy";
            /** @description epoch seconds */
            timestamp: number;
            uptime_seconds: number;
            version: string;
        };
        HealthReport: {
            checks?: Record<string, never>;
            /** Format: date-time */
            lastCheck: string;
            services: Record<string, never>[];
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy";
            uptime_seconds?: number;
            version?: string;
        };
        Heartbeat: {
            load?: number;
        };
        ImportReport: Record<string, never>;
        Nack: {
            /** @description absent: as the retry schedule says */
            delay_ms?: number;
            lease: string;
            reason?: string;
        };
        Names: string[];
        NeoEvent: {
            /**
             * @example PAYMENT_RECEIVED
             * @example payment.received
             */
            event: string;
            /** @description makes a repeat harmless */
            id?: string | number;
            payload: unknown;
            priority?: ("LOW" | "NORMAL" | "HIGH" | "CRITICAL") | number;
            subject?: string;
            /** @description accepted for event */
            type?: string;
        };
        NewReplay: {
            dry_run?: boolean;
            /** @description a seq, or a time in RFC 3339 */
            from?: unknown;
            subscription: string;
            /** @description a seq, or a time in RFC 3339 */
            to?: unknown;
        };
        NewSecret: {
            overlap_seconds?: number;
            secret?: string;
        };
        NewService: {
            capabilities?: string[];
            /** @description a path or a URL; none = its port is knocked at */
            health_check_url?: string | null;
            host: string;
            id: string;
            load?: number;
            /** @description weight and strategy are read by the choice */
            metadata?: Record<string, never>;
            name?: string;
            port: number;
            /** @enum {string} */
            protocol?: "http" | "https";
            ttl_seconds?: number;
            version?: string;
        };
        NewSource: {
            /** @description topics it may dispatch; empty = every one */
            allow?: string[];
            closed?: boolean;
            id: string;
            /**
             * @description how long an event's key is remembered; absent = 24h
             * @example 2h
             */
            idempotency_window?: string;
            /** @description screened jq from the body to {event, payload} */
            mapping?: string;
            /** @enum {string} */
            on_violation?: "refuse" | "flag";
            preset?: string;
            /**
             * @example 10/s
             * @example off
             */
            rate_limit?: string;
            /** @description JSON Schema per event type */
            schemas?: Record<string, never>;
            secrets?: string[];
        };
        NewStatePolicy: {
            /** @description over {key, base, current, wanted} */
            jq?: string | null;
            /** @enum {unknown} */
            merge?: "json" | "set" | "counter" | "list" | null;
            /** @enum {string} */
            on_conflict: "last_write_wins" | "merge" | "user_confirmation" | "custom";
            prefix: string;
            /** @description a plugin's */
            resolver?: string | null;
        };
        NewSubscription: {
            active?: boolean;
            concurrency?: number;
            filter?: string;
            filters?: string[];
            keep_exchanges?: boolean;
            key?: string;
            max_attempts?: number;
            name: string;
            /** @enum {string} */
            on_dead?: "continue" | "hold";
            ordered?: boolean;
            /** @description screened jq, true for what is wanted */
            predicate?: string;
            /** @description "1s,5s,30s" or a schedule */
            retry?: unknown;
            secret?: string;
            since?: number;
            /** @description {kind: webhook|http|handler|consumer, url, method, headers, body} */
            target?: Record<string, never>;
            timeout_ms?: number;
            url?: string;
        };
        NewToken: {
            /** @enum {string} */
            algorithm?: "HS256" | "RS256" | "ES256" | "EdDSA";
            /** Format: date-time */
            expiresAt?: string;
            /** @description for jwt_key: a shared secret, or the public part as a JSON Web Key */
            key?: string | Record<string, never>;
            /** @enum {string} */
            kind?: "api_token" | "jwt_key";
            name: string;
            scopes?: string[];
        };
        NewTransaction: {
            changes: {
                delete?: boolean;
                expected_version?: number | null;
                key: string;
                ttl_seconds?: number | null;
                /** @description any JSON; or delete: true */
                value?: unknown;
            }[];
            checks?: string[];
            confirm_within_seconds?: number | null;
        };
        Now: {
            /** Format: date-time */
            now: string;
        };
        Place: {
            hash: string;
            seq: number;
        };
        Problem: {
            code: string;
            detail?: string;
            /** @description one reason per field, for 422 */
            details?: Record<string, never>;
            error: components["schemas"]["ProblemFields"];
            instance?: string;
            message: string;
            requestId: string;
            retryable?: boolean;
            status?: number;
            /** @constant */
            success: false;
            title?: string;
            type?: string;
        };
        ProblemFields: {
            code: string;
            detail: string;
            /** @description one reason per field, for 422 */
            details?: Record<string, never>;
            instance: string;
            message: string;
            retryable: boolean;
            status: number;
            title: string;
            type: string;
        };
        Processed: {
            event?: string;
            id?: string;
            reason?: string;
            /** @enum {string} */
            status: "processed" | "ignored";
        };
        Publish: {
            id?: string;
            payload: unknown;
            priority?: ("LOW" | "NORMAL" | "HIGH" | "CRITICAL") | number;
            subject?: string;
        };
        Published: {
            message_id: string;
            seq: number;
            topic: string;
        };
        Pull: {
            /** @default 10 */
            max: number;
            /** @default 0 */
            wait_ms: number;
        };
        Pulled: components["schemas"]["ConsumerDelivery"][];
        PutState: {
            /** @description 0: the key must not exist */
            expected_version?: number | null;
            /** @description delete the key after this */
            ttl_seconds?: number | null;
            /** @description any JSON */
            value: unknown;
        };
        Reason: {
            reason?: string;
        };
        RedactRequest: {
            event_id?: string;
            reason: string;
            subject?: string;
        };
        Removed: {
            id?: string;
            name?: string;
            status: string;
        };
        Replay: {
            /** @description for a dry run */
            events?: number;
            from_seq?: number;
            id?: number;
            position?: number;
            state?: string;
            subscription?: string;
            to_seq?: number;
        };
        ReplayList: components["schemas"]["Replay"][];
        ResolveStateConflict: {
            /** @enum {string} */
            choice: "current" | "wanted" | "value";
            /** @description with the choice value */
            value?: unknown;
        };
        RollBack: {
            reason?: string | null;
        };
        Rotate: {
            /** @default 60 */
            graceSeconds: number;
            /** @description the new value, where the hub can't make it */
            key?: string | Record<string, never>;
        };
        Sample: {
            payload?: unknown;
        };
        SecretValue: {
            value: string;
        };
        Select: {
            all?: boolean;
            id?: string;
            subscription?: string;
        };
        Service: {
            /** @enum {string} */
            breaker?: "closed" | "open" | "half_open";
            capabilities: string[];
            /** @description a path or a URL; none = its port is knocked at */
            health_check_url: string | null;
            host: string;
            id: string;
            in_flight?: number;
            /** @description epoch seconds */
            last_check?: number;
            /** @description epoch seconds */
            last_heartbeat?: number;
            load: number;
            /** @description weight and strategy are read by the choice */
            metadata?: Record<string, never>;
            name: string;
            port: number;
            /** @enum {string} */
            protocol: "http" | "https";
            /** @description epoch seconds */
            registered_at?: number;
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy" | "expired";
            status_reason?: string;
            ttl_seconds?: number;
            version: string;
        };
        ServiceList: {
            services: components["schemas"]["Service"][];
        };
        Source: {
            /** @description topics it may dispatch; empty = every one */
            allow?: string[];
            closed?: boolean;
            /** Format: date-time */
            created_at?: string;
            enabled?: boolean;
            id: string;
            /**
             * @description how long an event's key is remembered; absent = 24h
             * @example 2h
             */
            idempotency_window?: string;
            /** @description screened jq from the body to {event, payload} */
            mapping?: string;
            /** @enum {string} */
            on_violation?: "refuse" | "flag";
            preset: string;
            rate_limit?: unknown;
            /** @description JSON Schema per event type */
            schemas?: Record<string, never>;
            /** @description shown once, when the hub made it */
            secret?: string;
            secrets?: {
                /** Format: date-time */
                created_at: string;
                /** Format: date-time */
                expires_at?: string;
                name: string;
            }[];
            /** Format: date-time */
            updated_at?: string;
        };
        SourceList: components["schemas"]["Source"][];
        SourcePatch: {
            /** @description topics it may dispatch; empty = every one */
            allow?: string[];
            closed?: boolean;
            enabled?: boolean;
            /**
             * @description how long an event's key is remembered; absent = 24h
             * @example 2h
             */
            idempotency_window?: string;
            /** @description screened jq from the body to {event, payload} */
            mapping?: string;
            /** @enum {string} */
            on_violation?: "refuse" | "flag";
            preset?: string;
            /**
             * @example 10/s
             * @example off
             */
            rate_limit?: string;
            /** @description JSON Schema per event type */
            schemas?: Record<string, never>;
        };
        State: {
            correlation_id?: string;
            deleted?: boolean;
            /** Format: date-time */
            expires_at?: string;
            key: string;
            reason?: string;
            /** Format: date-time */
            updated_at: string;
            updated_by?: string;
            /** @description any JSON, as it was written */
            value: unknown;
            version: number;
        };
        StateConflict: {
            base_version: number;
            by?: string;
            /** @enum {string} */
            cause: "write" | "rollback";
            correlation_id?: string;
            current_version: number;
            deletes?: boolean;
            id: string;
            key: string;
            /** Format: date-time */
            parked_at?: string;
            /** @description choice, by, at, version */
            resolved?: Record<string, never>;
            /** @description the value that waits */
            wanted: unknown;
        };
        StateConflictList: components["schemas"]["StateConflict"][];
        StateHistory: {
            history: components["schemas"]["StateVersion"][];
            key: string;
            next_cursor?: string | null;
        };
        StateList: {
            items: components["schemas"]["State"][];
            next_cursor: string | null;
        };
        StatePolicy: {
            name: string;
            rule: components["schemas"]["NewStatePolicy"];
            /** Format: date-time */
            updated_at?: string;
            updated_by?: string;
        };
        StatePolicyList: components["schemas"]["StatePolicy"][];
        StateSummary: {
            by_outcome: Record<string, never>;
            conflicts: number;
            last_conflict: Record<string, never> | null;
            open: number;
        };
        StateVersion: {
            correlation_id?: string;
            deleted?: boolean;
            /** Format: date-time */
            expires_at?: string;
            reason?: string;
            /** Format: date-time */
            updated_at: string;
            updated_by: string;
            /** @description any JSON, as it was written */
            value: unknown;
            version: number;
        };
        StateWritten: {
            deleted?: boolean;
            key: string;
            merged?: boolean;
            /** @constant */
            success: true;
            version: number;
        };
        Subscription: {
            activity?: Record<string, never>;
            concurrency?: number;
            /** Format: date-time */
            created_at?: string;
            filters?: string[];
            keep_exchanges?: boolean;
            max_attempts?: number;
            name: string;
            /** @enum {string} */
            on_dead?: "continue" | "hold";
            /** @description screened jq, true for what is wanted */
            predicate?: string;
            /** @description "1s,5s,30s" or a schedule */
            retry?: unknown;
            /** @description shown once, when the hub made it */
            secret?: string;
            signed?: boolean;
            /** @description {kind: webhook|http|handler|consumer, url, method, headers, body} */
            target?: Record<string, never>;
            timeout_ms?: number;
            /** Format: date-time */
            updated_at?: string;
        };
        SubscriptionList: components["schemas"]["Subscription"][];
        SubscriptionPatch: {
            concurrency?: number;
            filters?: string[];
            keep_exchanges?: boolean;
            max_attempts?: number;
            /** @enum {string} */
            on_dead?: "continue" | "hold";
            /** @description screened jq, true for what is wanted */
            predicate?: string;
            /** @description "1s,5s,30s" or a schedule */
            retry?: unknown;
            secret?: string;
            /** @description {kind: webhook|http|handler|consumer, url, method, headers, body} */
            target?: Record<string, never>;
            timeout_ms?: number;
            url?: string;
        };
        SubscriptionStatus: Record<string, never>;
        Text: string;
        Ticket: {
            /** Format: date-time */
            expiresAt: string;
            ticket: string;
        };
        Token: {
            algorithm?: string;
            /** Format: date-time */
            createdAt: string;
            /** Format: date-time */
            expiresAt?: string;
            id: string;
            /** @enum {string} */
            kind: "api_token" | "jwt_key" | "node_secret" | "oauth_connection" | "provider_key";
            /** Format: date-time */
            lastUsedAt?: string;
            name: string;
            /** @description the source of a node secret */
            owner?: string;
            rotatedFrom?: string;
            rotatedTo?: string;
            scopes: string[];
            /** @enum {string} */
            status: "active" | "expiring" | "rotated" | "revoked" | "expired";
            /** @description shown once, when it is made */
            token?: string;
        };
        TokenList: components["schemas"]["Token"][];
        TokenPatch: {
            scopes: string[];
        };
        Transaction: {
            by?: string;
            /** Format: date-time */
            confirm_by_at?: string;
            conflicts?: string[];
            /** Format: date-time */
            ended_at?: string;
            /** @description where it is to be confirmed */
            id?: string;
            keys: Record<string, never>[];
            lost?: string[];
            /** Format: date-time */
            made_at?: string;
            reason?: string;
            /** @enum {string} */
            state?: "waiting" | "confirmed" | "rolled_back";
        };
        /** @description ok, events, first, last, head, erased, epoch, compared, cut, next, bad_seq, problem */
        VerifyReport: Record<string, never>;
        VerifyRequest: {
            after?: components["schemas"]["Place"];
            against?: components["schemas"]["Checkpoint"];
            limit?: number;
        };
    };
    responses: {
        /** @description Refused; `code` and `message` say why, on every route at the top level and under `error` */
        EnvelopedProblem: {
            headers: {
                "X-Request-ID"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["EnvelopedProblem"];
            };
        };
        /** @description Refused; `code` and `message` say why, on every route at the top level and under `error` */
        Problem: {
            headers: {
                "X-Request-ID"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    page: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    advance_clock: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Advance"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Now"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    backup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["Binary"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    command: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Command"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Anything"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    ack: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                subscription: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Ack"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Acked"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    extend: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                subscription: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Extend"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Extended"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    nack: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                subscription: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Nack"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    pull: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                subscription: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Pull"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Pulled"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_dead_letters: {
        parameters: {
            query?: {
                /** @description of this subscription */
                subscription?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 500, default 50 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["DeliveryList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_dead_letters: {
        parameters: {
            query?: {
                /** @description all of this subscription */
                subscription?: string;
                /** @description true: all there are */
                all?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    redrive_dead_letters: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Select"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_dead_letter: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Delivery"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_dead_letter: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    redrive_dead_letter: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_deliveries: {
        parameters: {
            query?: {
                /** @description of this subscription */
                subscription?: string;
                /** @description of this event id */
                event?: string;
                /** @description retrying, dead or delivered */
                state?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 500, default 50 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["DeliveryList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_delivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Delivery"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_endpoints: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["EndpointList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    query_events: {
        parameters: {
            query?: {
                /** @description event types or filters, repeated or comma-separated */
                type?: string;
                /** @description of this source */
                source?: string;
                /** @description about this subject */
                subject?: string;
                /** @description that belong to this correlation id */
                correlation?: string;
                /** @description committed at or after, RFC 3339 */
                from?: string;
                /** @description committed before, RFC 3339 */
                until?: string;
                /** @description with a seq greater than this */
                after?: string;
                /** @description with a seq less than this */
                before?: string;
                /** @description asc (default) or desc */
                order?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 1000, default 50 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["EventList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    stream: {
        parameters: {
            query?: {
                /** @description go on after this position: a seq, or epoch:seq */
                since?: string;
                /** @description topic filters, repeated or comma-separated; everything when absent */
                filter?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Event"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    socket_everything: {
        parameters: {
            query?: {
                /** @description go on after this position: a seq, or epoch:seq */
                since?: string;
                /** @description topic filters, repeated or comma-separated; everything when absent */
                filter?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A WebSocket */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    get_event: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Event"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    event_fate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Fate"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    health_enveloped: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["HealthReport"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    log_head: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Head"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    log_checkpoint: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Checkpoint"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    export_log: {
        parameters: {
            query?: {
                /** @description begin after this seq */
                after?: string;
                /** @description at most so many events; all when absent */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["ExportLine"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    import_log: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-ndjson": components["schemas"]["ExportLine"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["ImportReport"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    redact: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedactRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Count"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    verify_log: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VerifyRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["VerifyReport"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_replays: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["ReplayList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    start_replay: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewReplay"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Replay"];
                    };
                };
            };
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Replay"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_replay: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Replay"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    cancel_replay: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Replay"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_secrets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Names"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    put_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SecretValue"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Removed"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Removed"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_sources: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["SourceList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    create_source: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSource"];
            };
        };
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Source"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_source: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Source"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_source: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Removed"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    update_source: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SourcePatch"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Source"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    add_source_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSecret"];
            };
        };
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Source"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    remove_source_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Source"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_state_conflicts: {
        parameters: {
            query?: {
                /** @description of this key */
                key?: string;
                /** @description true: resolved ones too */
                all?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 500, default 50 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StateConflictList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_state_conflict: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StateConflict"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    resolve_state_conflict: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveStateConflict"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StateConflict"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_state_policies: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StatePolicyList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    set_state_policy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewStatePolicy"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StatePolicy"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    remove_state_policy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Removed"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    state_summary: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["StateSummary"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    state_transaction: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewTransaction"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Transaction"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_state_transaction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Transaction"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    confirm_state_transaction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Transaction"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    roll_back_state_transaction: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RollBack"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Transaction"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    watch_state: {
        parameters: {
            query?: {
                /** @description changes of this key */
                key?: string;
                /** @description changes of keys that begin so */
                prefix?: string;
                /** @description go on after this position: a seq, or epoch:seq */
                since?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Event"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    list_subscriptions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["SubscriptionList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    create_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSubscription"];
            };
        };
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    ensure_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EnsuredSubscription"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Removed"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    update_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SubscriptionPatch"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    pause_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Reason"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    resume_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Subscription"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    subscription_status: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["SubscriptionStatus"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    test_subscription: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Sample"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Exchange"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    create_ticket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Ticket"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["TokenList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    create_token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Token"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Token"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    update_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TokenPatch"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Token"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    revoke_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Reason"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Token"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    rotate_token: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Rotate"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Token"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    webhook_api_challenge: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Anything"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    webhook_api: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "*/*": components["schemas"]["Anything"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Processed"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    docs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    ingest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/cloudevents+json": components["schemas"]["CloudEvent"];
                "application/cloudevents-batch+json": components["schemas"]["CloudEventBatch"];
                "application/json": components["schemas"]["NeoEvent"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Accepted"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    publish: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                topic: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Publish"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Published"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    graphql_page: {
        parameters: {
            query?: {
                /** @description an API token, where no header can be set */
                token?: string;
                /** @description a one-time ticket of POST /api/v1/tickets */
                ticket?: string;
                /** @description a GraphQL document; without it, the page */
                query?: string;
                /** @description which operation of the document */
                operationName?: string;
                /** @description values of its variables, a JSON object */
                variables?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GraphqlResponse"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    graphql: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GraphqlRequest"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GraphqlResponse"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text; version=1.0.0; charset=utf-8": components["schemas"]["Text"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Anything"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    list_services: {
        parameters: {
            query?: {
                /** @description instances of this service */
                name?: string;
                /** @description that can do this; several with commas, all of which it must have */
                capability?: string;
                /** @description healthy, degraded, unhealthy or expired; several with commas */
                status?: string;
                /** @description key=value that its metadata say; several with commas, all of which must hold */
                metadata?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServiceList"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    register_service: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewService"];
            };
        };
        responses: {
            /** @description Stored */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    get_service: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FoundService"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    deregister_service: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Removed"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    service_heartbeat: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Heartbeat"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    invoke_service: {
        parameters: {
            query?: {
                /** @description for the whole call, for example 500ms or 10s */
                timeout?: string;
                /** @description least_loaded, round_robin, weighted or consistent_hash */
                strategy?: string;
                /** @description the same key goes to the same instance (means consistent_hash) */
                key?: string;
                /** @description true: a repeat does no harm, so that another instance may be tried */
                idempotent?: string;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Anything"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Anything"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    list_state: {
        parameters: {
            query?: {
                /** @description keys that begin so; all when absent */
                prefix?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 500, default 100 */
                limit?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StateList"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    get_state: {
        parameters: {
            query?: {
                /** @description this version, as far as the history goes back */
                version?: string;
            };
            header?: never;
            path: {
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["State"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    put_state: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PutState"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StateWritten"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    delete_state: {
        parameters: {
            query?: {
                /** @description refuse it (409) when the present version is another */
                expected_version?: string;
            };
            header?: never;
            path: {
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StateWritten"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    state_history: {
        parameters: {
            query?: {
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 1000, default 100 */
                limit?: string;
            };
            header?: never;
            path: {
                key: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StateHistory"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    webhook_challenge: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Anything"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    webhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                source: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "*/*": components["schemas"]["Anything"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Processed"];
                };
            };
            default: components["responses"]["Problem"];
        };
    };
    socket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A WebSocket */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
}
