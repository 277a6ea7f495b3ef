// A stream of events that a test writes by hand.

export class FakeEventSource extends EventTarget {
  static readonly opened: FakeEventSource[] = []
  closed = false

  constructor(readonly url: string) {
    super()
    FakeEventSource.opened.push(this)
  }

  send(type: string, data: unknown) {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }))
  }

  close() {
    this.closed = true
  }
}
