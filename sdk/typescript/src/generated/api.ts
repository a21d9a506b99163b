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
    "/api/v1/approvals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What people are asked by flows, the newest first */
        get: operations["list_approvals"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/approvals/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One approval: what is asked, of whom, until when, and how it ended */
        get: operations["get_approval"];
        put?: never;
        /** Approve or reject; once. The run goes on with it */
        post: operations["decide_approval"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/approvals/{id}/link": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A new link to the page on which it is decided, shown this once; the link before ends */
        post: operations["link_approval"];
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
    "/api/v1/connections": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Accounts at outside services and how they are, never their secrets */
        get: operations["list_connections"];
        put?: never;
        /** Make a connection; its secrets may follow later */
        post: operations["create_connection"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/connections/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One connection */
        get: operations["get_connection"];
        put?: never;
        post?: never;
        /** Take a connection out, with its secrets */
        delete: operations["delete_connection"];
        options?: never;
        head?: never;
        /** Change settings, secrets or scopes, or switch it off and on */
        patch: operations["update_connection"];
        trace?: never;
    };
    "/api/v1/connections/{name}/authorize": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The address where a person agrees; good once and for ten minutes */
        post: operations["authorize_connection"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/connections/{name}/secrets/{secret}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Set one of its secrets; it can't be read back */
        put: operations["put_connection_secret"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/connectors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Outside services that can be called, with their operations and connections */
        get: operations["list_connectors"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/connectors/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One connector with its whole manifest */
        get: operations["get_connector"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/connectors/{name}/call": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Call an operation; Idempotency-Key makes a repeat harmless where the operation knows repeats */
        post: operations["call_connector"];
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
    "/api/v1/flows": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every flow, with the version that new runs begin with */
        get: operations["list_flows"];
        put?: never;
        /** Publish a document; the same again changes nothing (200). Versions never change */
        post: operations["publish_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/backtest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a flow would have been begun by over a stretch of the log; changes nothing. Needs events:read for the types it looks at */
        post: operations["backtest_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Check a document as publishing does, and change nothing */
        post: operations["check_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/rehearse": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What another version would have done with past runs, answered as they were; changes nothing, calls nobody */
        post: operations["rehearse_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/{namespace}/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One flow, with its present document */
        get: operations["get_flow"];
        put?: never;
        post?: never;
        /** Take a flow away: no new run begins; those that run go on */
        delete: operations["remove_flow"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/{namespace}/{name}/disable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Turn its triggers off; runs go on, and what comes meanwhile begins none */
        post: operations["disable_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/{namespace}/{name}/enable": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Turn its triggers on */
        post: operations["enable_flow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/{namespace}/{name}/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How its newest runs went: outcomes, success rate, and the times of runs and of each task */
        get: operations["report_flow"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/flows/{namespace}/{name}/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Begin a run with this input; with an Idempotency-Key at most one */
        post: operations["start_run"];
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
    "/api/v1/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Runs, the newest first, and what each waits for */
        get: operations["list_runs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One run: where it stands, what it waits for and until when */
        get: operations["get_run"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End a run and those that it started; what it has done stays done */
        post: operations["cancel_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a halted run go on */
        post: operations["resume_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Have a faulted run do the failed task again, or the task named: one around it or before it, by its name or its place */
        post: operations["retry_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/steps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the tasks of a run took, gave and met, in order */
        get: operations["run_steps"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/runs/{id}/suspend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Halt a run: what comes is kept, nothing is done */
        post: operations["suspend_run"];
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
    "/approvals/{token}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The page of a link to an approval; looking at it changes nothing */
        get: operations["approval_page"];
        put?: never;
        /** Decide by the form of that page; once, then the link is used up (410) */
        post: operations["decide_on_page"];
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
    "/flows/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives */
        get: operations["begin_flow_get"];
        /** Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives */
        put: operations["begin_flow_put"];
        /** Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives */
        post: operations["begin_flow_post"];
        /** Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives */
        delete: operations["begin_flow_delete"];
        options?: never;
        head?: never;
        /** Begin a run of the flow whose nexus.dev/webhook has this path, and answer what it gives */
        patch: operations["begin_flow_patch"];
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
    "/oauth/callback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Where a provider sends the browser back to; the state in it proves what was begun */
        get: operations["oauth_callback"];
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
        /** The best instance of this name (or the one of this id), with all of them */
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
            events?: {
                event: string;
                id: string;
                seq: number;
            }[];
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
        Approval: {
            asked_by?: string;
            assignee?: string | null;
            /** Format: date-time */
            created_at: string;
            decision?: {
                answers: Record<string, never>;
                /** Format: date-time */
                at: string;
                by: string | null;
                comment: string | null;
                escalated: boolean;
                /** @enum {string} */
                outcome: "approved" | "rejected" | "timeout";
            } | null;
            description?: string | null;
            escalated_at?: string | null;
            escalates_at?: string | null;
            /** Format: date-time */
            expires_at: string;
            flow: string;
            form?: Record<string, never> | null;
            /** @description its run goes on with the decision; only when it is made */
            heard?: boolean;
            id: string;
            run: string;
            /** @enum {string} */
            state: "open" | "decided" | "expired" | "withdrawn";
            task?: string;
            title: string;
        };
        ApprovalForm: {
            comment?: string;
            /** @enum {string} */
            decision?: "approved" | "rejected";
        };
        ApprovalLink: {
            /** Format: date-time */
            expires_at: string;
            id: string;
            link: string;
        };
        ApprovalList: components["schemas"]["Approval"][];
        Attempt: {
            /** Format: date-time */
            at: string;
            error?: string;
            latency_ms: number;
            probe?: boolean;
            request_head?: string;
            response_head?: string;
            status?: number;
        };
        Authorization: {
            callback: string;
            /** Format: date-time */
            expires_at: string;
            url: string;
        };
        AuthorizeConnection: {
            callback?: string;
        };
        Backtest: {
            flow: string;
            found: {
                /** Format: date-time */
                at: string;
                /** @enum {string} */
                by: "match" | "event";
                data?: unknown;
                detector?: string;
                id: string;
                key?: string;
                seq?: number;
                type: string;
            }[];
            looked_at: number;
            /** @description there is more: send it back as `next`, with the same flow */
            next?: Record<string, never>;
        };
        /** Format: binary */
        Binary: string;
        Checkpoint: {
            epoch: number;
            /** @description lower-case hex */
            hash: string;
            /** @description ed25519, lower-case hex */
            public_key: string;
            seq: number;
            /** @description lower-case hex */
            signature: string;
            /** @description microseconds: the signature covers this number */
            time: number;
        };
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
            payload?: {
                [key: string]: unknown;
            };
            /** Format: date-time */
            timestamp?: string;
            /**
             * @example token.create
             * @example token.rotate
             * @example token.revoke
             */
            type: string;
        };
        Connection: {
            connector: string;
            /** Format: date-time */
            created_at: string;
            created_by?: string;
            health: {
                /** @enum {string} */
                breaker: "closed" | "open" | "half_open";
                last_error?: string;
                /** Format: date-time */
                last_failure?: string;
                /** Format: date-time */
                last_success?: string;
            };
            /** Format: date-time */
            last_used_at?: string;
            name: string;
            private: boolean;
            reason?: string;
            scopes?: string[];
            secrets: {
                [key: string]: string;
            };
            settings: Record<string, never>;
            /** Format: date-time */
            since: string;
            /** @enum {string} */
            state: "connected" | "reconnect_needed" | "disabled";
            /** Format: date-time */
            token_expires_at?: string;
            /** Format: date-time */
            updated_at?: string;
        };
        ConnectionList: components["schemas"]["Connection"][];
        ConnectionPatch: {
            enabled?: boolean;
            scopes?: string[];
            secrets?: {
                [key: string]: string;
            };
            settings?: Record<string, never>;
        };
        Connector: {
            about?: string;
            /**
             * @description what its requests were checked against
             * @enum {string}
             */
            checked: "specification" | "example" | "reading";
            connections: string[];
            /** @description the whole manifest; not in lists */
            manifest?: Record<string, never>;
            name: string;
            operations: string[];
            /** @enum {string} */
            origin: "shipped" | "file" | "given";
            title: string;
            webhook_preset?: string | null;
        };
        ConnectorCall: {
            /** @description absent = the connector's only one */
            connection?: string;
            /** @description what the operation's schema says; absent = {} */
            input?: unknown;
            operation: string;
            /** @description for its turn and between attempts; default 10s, at most 120s */
            patience?: string;
            /** @description LOW, NORMAL, HIGH or CRITICAL */
            priority?: string | number;
        };
        ConnectorCalled: {
            connection: string;
            output: unknown;
            requests: number;
        };
        ConnectorList: components["schemas"]["Connector"][];
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
            attempts?: components["schemas"]["Attempt"][];
            attempts_made?: number;
            /** @description the same at every attempt */
            delivery_id?: string;
            event?: string;
            event_id: string;
            /** @description 0, or the replay's number */
            generation?: number;
            id: string;
            key?: string;
            /** Format: date-time */
            next_at?: string;
            seq?: number;
            /** @enum {string} */
            state: "retrying" | "dead" | "delivered";
            subscription: string;
            /** Format: date-time */
            updated_at?: string;
            waiting?: number[];
        };
        DeliveryList: components["schemas"]["Delivery"][];
        EndpointList: {
            /** @enum {string} */
            breaker: "closed" | "open" | "half_open";
            in_flight: number;
            subscriptions: string[];
            /** @description or handler:NAME, consumer:SUBSCRIPTION */
            url: string;
        }[];
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
            retry?: string | components["schemas"]["RetrySchedule"] | null;
            secret?: string;
            since?: number;
            target?: components["schemas"]["Target"];
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
            details?: {
                [key: string]: unknown;
            };
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
            attributes?: components["schemas"]["EventAttributes"];
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
        EventAttributes: {
            alias?: string;
            binary?: boolean;
            datacontenttype?: string;
            dataschema?: string;
            /** @description other attributes of CloudEvents */
            extensions?: {
                [key: string]: unknown;
            };
            /** @description when it happened, by the producer's word */
            occurred?: string;
            schema_violation?: string;
            source_id?: string;
            traceparent?: string;
        };
        EventList: components["schemas"]["Event"][];
        Exchange: {
            error: string | null;
            latency_ms: number;
            request: {
                body: string;
                headers: {
                    [key: string]: string;
                };
                method: string;
                url: string;
            };
            response: {
                body: string;
                headers: {
                    [key: string]: string;
                };
                status: number;
            } | null;
        };
        ExportLine: {
            attributes?: components["schemas"]["EventAttributes"];
            causation?: string;
            correlation?: string;
            /** @description as stored; absent when erased */
            data?: unknown;
            depth?: number;
            epoch?: number;
            id: string;
            priority: string;
            seq: number;
            source: string;
            subject?: string;
            /** @description microseconds */
            time: number;
            type: string;
        };
        Extend: {
            lease: string;
            /** @description absent: timeout_ms again */
            ms?: number;
        };
        Extended: {
            extended_ms: number;
            lease: string;
        };
        Fate: {
            correlation: string;
            deliveries: {
                /** Format: date-time */
                at?: string;
                attempt?: number;
                attempts?: components["schemas"]["Attempt"][];
                /** @description 0, or the replay's number */
                generation: number;
                latency_ms?: number;
                /** Format: date-time */
                next_at?: string;
                /** @description delivered, in_flight, queued, retrying, dead, filtered, waiting_behind_key, removed, expired or erased */
                state: string;
                status?: number;
                subscription: string;
                why?: string;
            }[];
            event: string;
            event_id: string;
            seq: number;
            source: string;
            stages: {
                /** Format: date-time */
                at?: string;
                detail?: string;
                /** @enum {string} */
                stage: "received" | "committed" | "delivered" | "erased";
            }[];
            /** @description the worst of the deliveries, or unmatched, or erased */
            verdict: string;
        };
        Flow: {
            /** Format: date-time */
            created_at?: string;
            detectors?: string[];
            /** @description the document; not in lists */
            document?: Record<string, never>;
            enabled: boolean;
            form?: {
                choices?: unknown[];
                help?: string;
                /** @enum {string} */
                kind: "text" | "number" | "integer" | "boolean";
                label: string;
                name: string;
                preset?: unknown;
                required: boolean;
            }[] | null;
            name: string;
            origin?: string;
            schedule?: unknown;
            title?: string | null;
            /** Format: date-time */
            updated_at?: string;
            version: string;
            versions?: string[];
            warnings?: components["schemas"]["FlowWarning"][];
            webhook?: string | null;
        };
        FlowChecked: {
            flow: string;
            valid: boolean;
            warnings?: components["schemas"]["FlowWarning"][];
        };
        /** @description an Open Workflow document */
        FlowDocument: Record<string, never>;
        FlowError: {
            detail?: string;
            instance?: string;
            status: number;
            title?: string;
            type: string;
        };
        FlowList: {
            flows: components["schemas"]["Flow"][];
            /** @description runs that this hub can't read and has set aside, and why */
            unreadable_runs: {
                [key: string]: string;
            };
            /** @description files that could not be published, and why */
            wrong_files: {
                [key: string]: string;
            };
        };
        FlowReport: {
            by_status: {
                [key: string]: number;
            };
            flow: string;
            run: {
                count: number;
                p50_ms: number | null;
                p95_ms: number | null;
            };
            runs: number;
            success_rate?: number | null;
            tasks: {
                [key: string]: {
                    count: number;
                    p50_ms: number | null;
                    p95_ms: number | null;
                };
            };
        };
        /** @description an Open Workflow document in YAML */
        FlowText: string;
        FlowWarning: {
            line?: number;
            message: string;
            path: string;
        };
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
            metadata?: {
                [key: string]: unknown;
            };
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
            locations?: {
                column: number;
                line: number;
            }[];
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
        Head: {
            epoch: number;
            first: number;
            hash: string;
            seq: number;
            /** Format: date-time */
            time: string;
        };
        Health: {
            checks?: {
                [key: string]: {
                    detail: string;
                    /** @enum {string} */
                    status: "healthy" | "degraded" | "unhealthy";
                };
            };
            ready?: boolean;
            /** @description a state by service, and by endpoint as NAME_cb */
            services?: {
                [key: string]: string;
            };
            stats?: {
                [key: string]: number;
            };
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy";
            /** @description epoch seconds */
            timestamp: number;
            uptime_seconds: number;
            version: string;
        };
        HealthReport: {
            breakers?: {
                [key: string]: "closed" | "open" | "half_open";
            };
            checks?: {
                [key: string]: {
                    detail: string;
                    /** @enum {string} */
                    status: "healthy" | "degraded" | "unhealthy";
                };
            };
            /** Format: date-time */
            lastCheck: string;
            services: {
                detail?: string;
                /** Format: date-time */
                lastCheck?: string | null;
                name: string;
                /** @enum {string} */
                status: "up" | "down" | "degraded";
            }[];
            stats?: {
                [key: string]: number;
            };
            /** @enum {string} */
            status: "healthy" | "degraded" | "unhealthy";
            uptime_seconds?: number;
            version?: string;
        };
        Heartbeat: {
            load?: number;
        };
        ImportReport: {
            epoch?: number;
            erased: number;
            repeated: number;
            stored: number;
        };
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
        NewBacktest: {
            /** @description or this document, as YAML text or as it stands */
            document?: string | Record<string, never>;
            /** @description the present version of this flow, namespace/name */
            flow?: string;
            /** @description a seq, or a time such as 2026-01-02T03:04:05Z */
            from?: string | number;
            next?: unknown;
            /** @description a seq, or a time such as 2026-01-02T03:04:05Z */
            to?: string | number;
        };
        NewConnection: {
            connector: string;
            name: string;
            scopes?: string[];
            secrets?: {
                [key: string]: string;
            };
            settings?: Record<string, never>;
        };
        NewRehearsal: {
            /** @description or this document, as YAML text or as it stands */
            document?: string | Record<string, never>;
            /** @description the present version of this flow, namespace/name */
            flow?: string;
            runs?: number;
        };
        NewReplay: {
            dry_run?: boolean;
            /** @description a seq, or a time in RFC 3339 */
            from?: unknown;
            subscription: string;
            /** @description a seq, or a time in RFC 3339 */
            to?: unknown;
        };
        NewRun: {
            input?: unknown;
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
            metadata?: {
                [key: string]: unknown;
            };
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
            schemas?: {
                [key: string]: unknown;
            };
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
            retry?: string | components["schemas"]["RetrySchedule"] | null;
            secret?: string;
            since?: number;
            target?: components["schemas"]["Target"];
            timeout_ms?: number;
            url?: string;
        };
        NewToken: {
            /** @enum {string} */
            algorithm?: "HS256" | "RS256" | "ES256" | "EdDSA";
            /** Format: date-time */
            expiresAt?: string;
            /** @description for jwt_key: a shared secret, or the public part as a JSON Web Key or as PEM */
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
                /** @description delete the key after this */
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
            details?: {
                [key: string]: unknown;
            };
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
            details?: {
                [key: string]: unknown;
            };
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
        Rehearsal: {
            different: number;
            flow: string;
            runs: {
                /** Format: date-time */
                began: string;
                differences: {
                    after?: unknown;
                    before?: unknown;
                    /** @enum {string} */
                    of: "outcome" | "call" | "event" | "task" | "waiting";
                    path?: string;
                    which?: string;
                }[];
                run: string;
                status: string;
                unsure?: string;
                version: string;
                would: string;
            }[];
            same: number;
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
            /** @description the present version as the chooser saw it; absent: the one that stood when it was parked */
            expected_version?: number | null;
            /** @description with the choice value */
            value?: unknown;
        };
        RetryRun: {
            /** @description its name, or its place such as /do/0/pay */
            task?: string;
        };
        RetrySchedule: {
            base_ms: number;
            cap_ms: number;
            /** @constant */
            kind: "exponential";
        } | {
            /** @constant */
            kind: "explicit";
            waits_ms: number[];
        };
        RollBack: {
            reason?: string | null;
        };
        Rotate: {
            /**
             * @description how long the old one goes on
             * @default 60
             */
            graceSeconds: number;
            /** @description the new value, where the hub can't make it */
            key?: string | Record<string, never>;
        };
        Run: {
            causation?: string;
            correlation?: string;
            /** Format: date-time */
            created_at: string;
            depth?: number;
            duration_ms?: number;
            /** Format: date-time */
            ended_at?: string;
            erased?: {
                /** Format: date-time */
                at: string;
                cut_off: boolean;
            };
            error?: components["schemas"]["FlowError"];
            flow: string;
            id: string;
            input?: unknown;
            key?: string;
            output?: unknown;
            /** @enum {string} */
            status: "pending" | "queued" | "running" | "waiting" | "suspended" | "cancelled" | "faulted" | "completed" | "unreadable";
            trigger: {
                /** @enum {string} */
                kind: "event" | "schedule" | "manual" | "webhook" | "flow";
            };
            version: string;
            waiting_for: components["schemas"]["Waiting"][];
        };
        RunList: components["schemas"]["Run"][];
        RunStep: {
            /** Format: date-time */
            at: string;
            data?: unknown;
            iteration?: string;
            name: string;
            /** @enum {string} */
            phase: "started" | "skipped" | "retried" | "completed" | "faulted" | "cancelled";
            task: string;
        };
        RunSteps: {
            steps: components["schemas"]["RunStep"][];
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
            metadata?: {
                [key: string]: unknown;
            };
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
            schemas?: {
                [key: string]: unknown;
            };
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
            schemas?: {
                [key: string]: unknown;
            };
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
            /** @description the present one; once resolved, the one it was resolved against */
            current_version: number;
            deletes?: boolean;
            id: string;
            key: string;
            /** Format: date-time */
            parked_at?: string;
            /** @description the one that stood when it was parked */
            parked_version?: number;
            resolved?: {
                /** Format: date-time */
                at: string;
                by: string;
                /** @enum {string} */
                choice: "current" | "wanted" | "value";
                version?: number | null;
            } | null;
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
            by_outcome: {
                [key: string]: number;
            };
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
            activity?: {
                reason?: string;
                /** Format: date-time */
                since?: string;
                /** @enum {string} */
                state: "active" | "paused" | "disabled";
            };
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
            retry?: string | components["schemas"]["RetrySchedule"] | null;
            /** @description shown once, when the hub made it */
            secret?: string;
            signed?: boolean;
            target?: components["schemas"]["Target"];
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
            retry?: string | components["schemas"]["RetrySchedule"] | null;
            secret?: string;
            target?: components["schemas"]["Target"];
            timeout_ms?: number;
            url?: string;
        };
        SubscriptionStatus: {
            /** @enum {string} */
            breaker: "closed" | "open" | "half_open";
            dead: number;
            in_flight: number;
            lag: number;
            last_error?: string;
            /** Format: date-time */
            last_success_at?: string;
            /** @enum {string} */
            mode: "live" | "behind";
            name: string;
            position: number;
            reason?: string;
            retrying: number;
            /** @enum {string} */
            state: "active" | "paused" | "disabled";
            waiting: number;
            waiting_for?: string;
            /** Format: date-time */
            waiting_until?: string;
        };
        Target: {
            headers?: {
                [key: string]: string;
            };
            /** @constant */
            kind: "webhook";
            /** @description ${secret:NAME} is replaced when sending */
            url: string;
        } | {
            /** @description screened jq; absent = the payload */
            body?: string | null;
            headers?: {
                [key: string]: string;
            };
            /** @constant */
            kind: "http";
            method?: string;
            /** @description ${secret:NAME} is replaced when sending */
            url: string;
        } | {
            /** @constant */
            kind: "handler";
            name: string;
        } | {
            /** @constant */
            kind: "consumer";
        };
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
            /**
             * @description where it is kept and changed, if not in the hub
             * @enum {string}
             */
            origin?: "environment" | "key set";
            /** @description the source of a node secret, the connector of a connection */
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
            keys: {
                before: number;
                existed: boolean;
                key: string;
                version: number;
            }[];
            lost?: string[];
            /** Format: date-time */
            made_at?: string;
            reason?: string;
            /** @enum {string} */
            state?: "waiting" | "confirmed" | "rolled_back";
        };
        Verdict: {
            /** @description values of the form's fields */
            answers?: Record<string, never>;
            comment?: string;
            /** @enum {string} */
            decision: "approved" | "rejected";
        };
        VerifyReport: {
            bad_seq?: number;
            compared?: boolean;
            cut?: {
                public_key: string;
                seq: number;
                /** Format: date-time */
                time: string;
            };
            epoch: number;
            erased: number;
            events: number;
            first: number;
            head: number;
            last: number;
            next?: components["schemas"]["Place"];
            ok: boolean;
            problem?: string;
        };
        VerifyRequest: {
            after?: components["schemas"]["Place"];
            against?: components["schemas"]["Checkpoint"];
            limit?: number;
        };
        Waiting: {
            /** @enum {string} */
            for: "time" | "retry" | "call" | "events" | "flow" | "resume" | "turn" | "approval";
            /** @description of a turn: the run that has the key */
            run?: string;
            /** Format: date-time */
            since?: string;
            task: string;
            /** Format: date-time */
            until?: string;
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
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
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
    list_approvals: {
        parameters: {
            query?: {
                /** @description open, decided, expired or withdrawn */
                state?: string;
                /** @description of which this one is asked */
                assignee?: string;
                /** @description of this run */
                run?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 200, default 50 */
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
                        data?: components["schemas"]["ApprovalList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_approval: {
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
                        data?: components["schemas"]["Approval"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    decide_approval: {
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
                "application/json": components["schemas"]["Verdict"];
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
                        data?: components["schemas"]["Approval"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    link_approval: {
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
                        data?: components["schemas"]["ApprovalLink"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
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
    list_connections: {
        parameters: {
            query?: {
                /** @description of this connector */
                connector?: string;
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
                        data?: components["schemas"]["ConnectionList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    create_connection: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewConnection"];
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
                        data?: components["schemas"]["Connection"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_connection: {
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
                        data?: components["schemas"]["Connection"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    delete_connection: {
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
    update_connection: {
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
                "application/json": components["schemas"]["ConnectionPatch"];
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
                        data?: components["schemas"]["Connection"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    authorize_connection: {
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
                "application/json": components["schemas"]["AuthorizeConnection"];
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
                        data?: components["schemas"]["Authorization"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    put_connection_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
                secret: string;
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
                        data?: components["schemas"]["Connection"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    list_connectors: {
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
                        data?: components["schemas"]["ConnectorList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_connector: {
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
                        data?: components["schemas"]["Connector"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    call_connector: {
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
                "application/json": components["schemas"]["ConnectorCall"];
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
                        data?: components["schemas"]["ConnectorCalled"];
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
    list_flows: {
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
                        data?: components["schemas"]["FlowList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    publish_flow: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FlowDocument"];
                "application/yaml": components["schemas"]["FlowText"];
            };
        };
        responses: {
            /** @description Nothing new was stored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Flow"];
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
                        data?: components["schemas"]["Flow"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    backtest_flow: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewBacktest"];
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
                        data?: components["schemas"]["Backtest"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    check_flow: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FlowDocument"];
                "application/yaml": components["schemas"]["FlowText"];
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
                        data?: components["schemas"]["FlowChecked"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    rehearse_flow: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRehearsal"];
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
                        data?: components["schemas"]["Rehearsal"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_flow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                namespace: string;
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
                        data?: components["schemas"]["Flow"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    remove_flow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                namespace: string;
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
    disable_flow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                namespace: string;
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
                        data?: components["schemas"]["Flow"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    enable_flow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                namespace: string;
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
                        data?: components["schemas"]["Flow"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    report_flow: {
        parameters: {
            query?: {
                /** @description over so many of the newest runs; 1 to 1000, default 200 */
                limit?: string;
            };
            header?: never;
            path: {
                namespace: string;
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
                        data?: components["schemas"]["FlowReport"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    start_run: {
        parameters: {
            query?: {
                /** @description for its end at most this long, for example 10s; then the run is shown as it stands */
                wait?: string;
            };
            header?: never;
            path: {
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRun"];
            };
        };
        responses: {
            /** @description Nothing new was stored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Envelope"] & {
                        data?: components["schemas"]["Run"];
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
                        data?: components["schemas"]["Run"];
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
            /** @description Nothing new was stored */
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
    list_runs: {
        parameters: {
            query?: {
                /** @description of this flow, namespace/name */
                flow?: string;
                /** @description pending, queued, running, waiting, suspended, cancelled, faulted or completed; open for all that have not ended */
                status?: string;
                /** @description that belong to this */
                correlation?: string;
                /** @description next_cursor of the page before */
                cursor?: string;
                /** @description at most so many; 1 to 200, default 50 */
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
                        data?: components["schemas"]["RunList"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    get_run: {
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
                        data?: components["schemas"]["Run"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    cancel_run: {
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
                        data?: components["schemas"]["Run"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    resume_run: {
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
                        data?: components["schemas"]["Run"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    retry_run: {
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
                "application/json": components["schemas"]["RetryRun"];
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
                        data?: components["schemas"]["Run"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    run_steps: {
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
                        data?: components["schemas"]["RunSteps"];
                    };
                };
            };
            default: components["responses"]["EnvelopedProblem"];
        };
    };
    suspend_run: {
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
                        data?: components["schemas"]["Run"];
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
    approval_page: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                token: string;
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
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
        };
    };
    decide_on_page: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                token: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-www-form-urlencoded": components["schemas"]["ApprovalForm"];
            };
        };
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
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
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
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
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
    begin_flow_get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
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
    begin_flow_put: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
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
    begin_flow_post: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
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
    begin_flow_delete: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
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
    begin_flow_patch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
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
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
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
    oauth_callback: {
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
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                    "text/html; charset=utf-8": components["schemas"]["Text"];
                };
            };
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
            /** @description Nothing new was stored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
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
            header?: {
                /** @description as timeout, which comes first */
                "X-Nexus-Timeout"?: string;
                /** @description as strategy; it comes first */
                "X-Nexus-Strategy"?: string;
                /** @description as key, which comes first */
                "X-Nexus-Key"?: string;
                /** @description passed on; a repeat does no harm, so that another instance may be tried */
                "Idempotency-Key"?: string;
                /** @description what the call belongs to, passed on */
                "X-Correlation-ID"?: string;
                /** @description steps of cause and effect so far, 0 to 255; passed on with one more */
                "X-Nexus-Depth"?: string;
                /** @description the trace that the call belongs to, passed on */
                traceparent?: string;
            };
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
            header?: {
                /** @description 304 without a body when the ETag is one of these; * for any */
                "If-None-Match"?: string;
            };
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
                    /** @description The version, for If-Match and If-None-Match */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["State"];
                };
            };
            /** @description It is what the caller has */
            304: {
                headers: {
                    /** @description The version, for If-Match and If-None-Match */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            default: components["responses"]["Problem"];
        };
    };
    put_state: {
        parameters: {
            query?: never;
            header?: {
                /** @description refuse it (409) unless this is the present version, 3 or "3"; *: unless it exists */
                "If-Match"?: string;
                /** @description *: refuse it (409) when the key exists */
                "If-None-Match"?: string;
            };
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
            header?: {
                /** @description refuse it (409) unless this is the present version, 3 or "3"; *: unless it exists */
                "If-Match"?: string;
                /** @description *: refuse it (409) when the key exists */
                "If-None-Match"?: string;
            };
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
