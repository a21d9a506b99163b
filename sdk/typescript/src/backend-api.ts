// `backendApi`: what a display asks of the hub. Nothing throws: every answer says whether it succeeded.

import { type ClientOptions, HubClient, type Request } from "./client.js";
import { NexusError } from "./errors.js";
import type { Appointment, Lead, LeadPriority, LeadStatus, SmsMessage, Token } from "./events.js";

/** Why a call failed. */
export interface BackendError {
  code: string;
  message: string;
  details?: Record<string, unknown>;
  /** The same call may succeed later. */
  retryable: boolean;
}

/** An answer. */
export interface BackendResponse<T> {
  success: boolean;
  data?: T;
  error?: BackendError;
  timestamp: string;
  requestId: string;
  /** For lists: give it back to get the next page. */
  nextCursor?: string;
}

/** A command. */
export interface BackendCommand<T = unknown> {
  type: string;
  payload: T;
  correlationId: string;
  timestamp: string;
}

export interface NewLead {
  name: string;
  phone: string;
  source: string;
  status?: "new";
  priority?: LeadPriority;
  email?: string;
  projectValue?: number;
  address?: string;
  notes?: string;
  metadata?: Record<string, unknown>;
}

export interface LeadQuery {
  platform?: string;
  status?: string;
  source?: string;
  priority?: string;
  assigned_to?: string;
  q?: string;
  since?: string;
  limit?: number;
  cursor?: string;
}

export interface NewAppointment {
  leadId: string;
  type: string;
  title: string;
  description?: string;
  startTime: string;
  endTime: string;
  location?: string;
  sendConfirmationSms: boolean;
}

/** A failed call can be told by its answer or, with `orThrow`, by the error itself. */
export function orThrow<T>(response: BackendResponse<T>): T {
  if (response.success) return response.data as T;
  const error = failures.get(response);
  throw error ?? new Error(response.error?.message ?? "the call failed");
}

const failures = new WeakMap<object, unknown>();

/** The calls. */
export class BackendApi {
  readonly #client: HubClient;

  constructor(options: ClientOptions = {}) {
    this.#client = new HubClient(options);
  }

  /** Any route of the hub. */
  async request<T = unknown>(path: string, request: Request = {}): Promise<BackendResponse<T>> {
    try {
      const { data, body, requestId } = await this.#client.answered<T>(path, request);
      const cursor = body["next_cursor"];
      return {
        success: true,
        data,
        timestamp: typeof body["timestamp"] === "string" ? body["timestamp"] : new Date().toISOString(),
        requestId,
        ...(typeof cursor === "string" ? { nextCursor: cursor } : {}),
      };
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      const response: BackendResponse<T> = {
        success: false,
        error: {
          code: error.code,
          message: error.message,
          ...(error.details === undefined ? {} : { details: error.details }),
          retryable: error.retryable,
        },
        timestamp: new Date().toISOString(),
        requestId: error.requestId ?? "",
      };
      failures.set(response, error);
      return response;
    }
  }

  /** A command. The same `correlationId` is answered the same, so that it is repeated without harm. */
  command<T = unknown>(type: string, payload: unknown, correlationId: string = crypto.randomUUID()): Promise<BackendResponse<T>> {
    const command: BackendCommand = { type, payload, correlationId, timestamp: new Date().toISOString() };
    return this.request<T>("/api/v1/commands", { body: command, idempotent: true });
  }

  getLeads(query: LeadQuery = {}): Promise<BackendResponse<Lead[]>> {
    const pairs = Object.entries(query).filter(([, value]) => value !== undefined);
    const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
    return this.request(text === "" ? "/api/v1/leads" : `/api/v1/leads?${text}`);
  }

  getLead(id: string): Promise<BackendResponse<Lead>> {
    return this.request(`/api/v1/leads/${encodeURIComponent(id)}`);
  }

  createLead(lead: NewLead): Promise<BackendResponse<Lead>> {
    return this.command("lead.create", lead);
  }

  updateLead(leadId: string, updates: Partial<Lead>, expectedVersion?: number): Promise<BackendResponse<Lead>> {
    return this.command("lead.update", { leadId, updates, ...(expectedVersion === undefined ? {} : { expectedVersion }) });
  }

  transitionLeadStatus(leadId: string, newStatus: LeadStatus, note?: string): Promise<BackendResponse<Lead>> {
    return this.command("lead.transition_status", { leadId, newStatus, ...(note === undefined ? {} : { note }) });
  }

  assignLead(leadId: string, assignedTo: string): Promise<BackendResponse<Lead>> {
    return this.command("lead.assign", { leadId, assignedTo });
  }

  getSmsHistory(leadId: string): Promise<BackendResponse<SmsMessage[]>> {
    return this.request(`/api/v1/leads/${encodeURIComponent(leadId)}/sms`);
  }

  sendSms(leadId: string, content: string, intent?: string): Promise<BackendResponse<SmsMessage>> {
    return this.command("sms.send", { leadId, content, ...(intent === undefined ? {} : { intent }) });
  }

  scheduleSms(leadId: string, content: string, scheduledFor: string): Promise<BackendResponse<SmsMessage>> {
    return this.command("sms.schedule", { leadId, content, scheduledFor });
  }

  cancelSms(messageId: string): Promise<BackendResponse<SmsMessage>> {
    return this.command("sms.cancel", { messageId });
  }

  getAppointment(id: string): Promise<BackendResponse<Appointment>> {
    return this.request(`/api/v1/appointments/${encodeURIComponent(id)}`);
  }

  getLeadAppointments(leadId: string): Promise<BackendResponse<Appointment[]>> {
    return this.request(`/api/v1/leads/${encodeURIComponent(leadId)}/appointments`);
  }

  bookAppointment(appointment: NewAppointment): Promise<BackendResponse<Appointment>> {
    return this.command("calendar.book", appointment);
  }

  rescheduleAppointment(appointmentId: string, startTime: string, endTime: string): Promise<BackendResponse<Appointment>> {
    return this.command("calendar.reschedule", { appointmentId, startTime, endTime });
  }

  cancelAppointment(appointmentId: string, reason?: string): Promise<BackendResponse<Appointment>> {
    return this.command("calendar.cancel", { appointmentId, ...(reason === undefined ? {} : { reason }) });
  }

  getTokens(): Promise<BackendResponse<Token[]>> {
    return this.request("/api/v1/tokens");
  }

  getToken(id: string): Promise<BackendResponse<Token>> {
    return this.request(`/api/v1/tokens/${encodeURIComponent(id)}`);
  }

  rotateToken(tokenId: string, graceSeconds?: number): Promise<BackendResponse<{ token: string }>> {
    return this.command("token.rotate", { tokenId, ...(graceSeconds === undefined ? {} : { graceSeconds }) });
  }

  revokeToken(tokenId: string, reason?: string): Promise<BackendResponse<Token>> {
    return this.command("token.revoke", { tokenId, ...(reason === undefined ? {} : { reason }) });
  }

  resolveEscalation(errorId: string, action: "retry" | "skip" | "takeover", note?: string): Promise<BackendResponse<unknown>> {
    return this.command("escalation.resolve", { errorId, action, ...(note === undefined ? {} : { note }) });
  }

  getDashboard<T = Record<string, unknown>>(): Promise<BackendResponse<T>> {
    return this.request("/api/v1/dashboard");
  }

  getHealth<T = Record<string, unknown>>(): Promise<BackendResponse<T>> {
    return this.request("/api/v1/health");
  }
}

/** The calls to the hub that environment and token file name. */
export const backendApi = new BackendApi();
