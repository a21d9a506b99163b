// Events as displays get them, with the payloads whose form is agreed on.

/** An event as the hub sends it to displays. */
export interface BackendEvent<T = unknown> {
  type: string;
  payload: T;
  /** Links it to the command that caused it. */
  correlationId?: string;
  /** ISO 8601. */
  timestamp: string;
  source: "backend";
  id: string;
  seq: number;
}

export type LeadStatus = "new" | "contacted" | "qualified" | "proposal_sent" | "negotiating" | "won" | "lost" | "cold";
export type LeadPriority = "hot" | "warm" | "cold";

export interface Lead {
  id: string;
  name: string;
  email?: string;
  phone: string;
  status: LeadStatus;
  source: string;
  priority: LeadPriority;
  projectValue?: number;
  address?: string;
  notes?: string;
  assignedTo?: string;
  createdAt: string;
  updatedAt: string;
  lastContactAt?: string;
  nextFollowUpAt?: string;
  metadata?: Record<string, unknown>;
  version: number;
}

export interface SmsMessage {
  id: string;
  leadId: string;
  direction: "inbound" | "outbound";
  content: string;
  status: "pending" | "sent" | "delivered" | "failed" | "response_received" | "cancelled";
  intent?: string;
  scheduledFor?: string;
  sentAt?: string;
  deliveredAt?: string;
  receivedAt?: string;
  error?: string;
}

export interface Appointment {
  id: string;
  leadId: string;
  type: string;
  status: "scheduled" | "confirmed" | "completed" | "cancelled" | "no_show";
  title: string;
  startTime: string;
  endTime: string;
  location?: string;
  attendees?: string[];
  calendarEventId?: string;
  createdAt: string;
  updatedAt: string;
}

export interface Token {
  id: string;
  name: string;
  kind: string;
  status: "active" | "expiring" | "rotated" | "revoked" | "expired";
  scopes: string[];
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
}

/** Payloads by the event's name. */
export interface BackendEventPayloads {
  "lead.created": { lead: Lead };
  "lead.updated": { lead: Lead; changes: Record<string, unknown> };
  "lead.status_changed": { lead: Lead; lead_id: string; from: string; to: string; deal_value?: number };
  "lead.assigned": { lead: Lead };
  "sms.sent": { message: SmsMessage };
  "sms.delivered": { message: SmsMessage };
  "sms.failed": { message: SmsMessage };
  "sms.response_received": {
    message: SmsMessage;
    leadId: string;
    intent: string | null;
    confidence: number;
    suggestedAction: string | null;
  };
  "appointment.created": { appointment: Appointment };
  "appointment.confirmed": { appointment: Appointment };
  "appointment.cancelled": { appointment: Appointment };
  "appointment.completed": { appointment: Appointment };
  "token.created": { token: Token };
  "token.rotated": { token: Token };
  "token.revoked": { token: Token };
  "error.escalation": {
    errorId: string;
    severity: string;
    message: string;
    context: Record<string, unknown>;
    requiresHumanIntervention: boolean;
    actions: { action: string; label: string }[];
  };
  "error.resolved": { errorId: string; action: string; resolvedBy: string };
}

/** The payload of an event, where its name is known. What another carries only its reader knows. */
export type EventPayload<T extends string> = T extends keyof BackendEventPayloads ? BackendEventPayloads[T] : any;
