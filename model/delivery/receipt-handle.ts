/**
 * Names one delivery of one message. Only the newest generation of the newest attempt is
 * honoured; the incarnation ids make handles of deleted topics and groups harmless.
 */
export interface ReceiptHandle {
  readonly topicId: number
  readonly groupId: number
  readonly queueId: number
  readonly queueOffset: number
  /** 1 for the first delivery. */
  readonly attempt: number
  /** Raised by every change that a client makes to the invisible duration. */
  readonly generation: number
  /** Wall clock; the promise at the time the handle was made. */
  readonly invisibleUntilMs: number
  /** The log's epoch in which the lease was granted. */
  readonly epoch: number
  /** How often the queue's offsets were reset for the group before the lease was granted. */
  readonly resets: number
}
