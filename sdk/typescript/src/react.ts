// Hooks for React: events of the hub in components, and how the connection stands.

import { createContext, createElement, type ReactNode, useContext, useEffect, useInsertionEffect, useRef, useSyncExternalStore } from "react";

import { type BackendEvent, type EventBus, type EventBusStatus, type EventPayload, eventBus } from "./index.js";

const Bus = createContext<EventBus>(eventBus);

/** Gives the components below it a bus of their own, instead of the one that the environment names. */
export function EventBusProvider({ bus, children }: { bus: EventBus; children?: ReactNode }): ReactNode {
  return createElement(Bus.Provider, { value: bus }, children);
}

/** The bus of this place. */
export function useEventBus(): EventBus {
  return useContext(Bus);
}

/** Calls `handler` with each event of this name while the component is there. The latest handler is called, so that it may
 * use the component's state without being wrapped. */
export function useBackendEvent<T extends string>(
  type: T,
  handler: (payload: EventPayload<T>, event: BackendEvent<EventPayload<T>>) => void,
): void {
  const bus = useEventBus();
  const latest = useRef(handler);
  // At once with what is drawn: an event between a drawing and its passive effects would meet the handler of the drawing
  // before.
  useInsertionEffect(() => {
    latest.current = handler;
  });
  useEffect(() => bus.on(type, (payload, event) => latest.current(payload, event)), [bus, type]);
}

/** How the connection stands; the component is drawn anew when that changes. */
export function useEventBusConnection(): EventBusStatus & { connect: () => void; close: () => void } {
  const bus = useEventBus();
  const status = useSyncExternalStore(
    (changed) => bus.onStatus(changed),
    () => bus.status,
    () => bus.status,
  );
  return { ...status, connect: () => bus.connect(), close: () => bus.close() };
}
