/** Work of one topic after the other's, each when the one before has ended, however it ended. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>()

  /** Topics with work under way. */
  get size(): number {
    return this.#last.size
  }

  run<Result>(topicId: number, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(topicId)
    const turn = before === undefined ? work() : before.then(work, work)
    const ended = turn.then(
      () => {},
      () => {},
    )
    this.#last.set(topicId, ended)
    void ended.then(() => {
      if (this.#last.get(topicId) === ended) this.#last.delete(topicId)
    })
    return turn
  }
}
