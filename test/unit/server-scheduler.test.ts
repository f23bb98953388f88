/** Which replies are written when: turns of clients, shares of the places, and the background behind them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ReplyScheduler, type Place, type Scheduled } from '../../server/inference/scheduler.js';

/** A scheduler whose replies are written as far as a test says. */
class Desk {
  readonly started: number[] = [];
  readonly places = new Map<number, number>();
  readonly #writing = new Map<number, { readonly place: Place; readonly end: () => void }>();
  readonly scheduler: ReplyScheduler<Scheduled>;
  #id = 0;

  constructor(places = 8) {
    this.scheduler = new ReplyScheduler<Scheduled>({
      places,
      write: ({ id }, place) => new Promise((resolve) => this.#writing.set(id, { place, end: resolve })),
      onStarted: ({ id }) => this.started.push(id),
      onPlaces: (told) => {
        for (const [id, place] of told) this.places.set(id, place);
      },
    });
    this.scheduler.start();
  }

  ask(client: string, count = 1, background = false): number[] {
    return Array.from({ length: count }, () => {
      this.scheduler.add({ id: ++this.#id, client, background });
      return this.#id;
    });
  }

  place(id: number): Place {
    const writing = this.#writing.get(id);
    assert.ok(writing, `reply ${id} is not being written`);
    return writing.place;
  }

  get writing(): number[] {
    return [...this.#writing.keys()];
  }

  async end(id: number): Promise<void> {
    const writing = this.#writing.get(id);
    assert.ok(writing, `reply ${id} is not being written`);
    this.#writing.delete(id);
    writing.end();
    await setImmediate();
  }
}

describe('the places', () => {
  test('are never all one client\'s: another begins at once, however many replies the first has asked for', () => {
    const desk = new Desk();
    const mine = desk.ask('a', 10);
    assert.deepEqual(desk.writing, mine.slice(0, 4));
    const [other] = desk.ask('b');
    assert.ok(desk.writing.includes(other as number));
    assert.equal(desk.places.get(mine[4] as number), 1);
  });

  test('last for as many clients as can be', () => {
    const desk = new Desk();
    for (const client of ['a', 'b', 'c', 'd']) desk.ask(client, 20);
    const counts = ['a', 'b', 'c', 'd'].map((_, at) => desk.writing.filter((id) => id > 20 * at && id <= 20 * (at + 1)).length);
    assert.deepEqual(counts, [4, 2, 1, 1]);
    desk.ask('e');
    assert.equal(desk.writing.length, 8);
  });

  test('that become free go to clients in turn', async () => {
    const desk = new Desk(2);
    const [a1, a2, a3] = desk.ask('a', 3) as [number, number, number];
    const [b1, b2] = desk.ask('b', 2) as [number, number];
    assert.deepEqual(desk.started, [a1, b1], 'the second place of two is kept for somebody else');
    const [c1] = desk.ask('c') as [number];
    await desk.end(a1);
    await desk.end(b1);
    await desk.end(desk.writing[0] as number);
    for (let left = 3; left > 0; left--) await desk.end(desk.writing[0] as number);
    assert.deepEqual(desk.started, [a1, b1, a2, b2, c1, a3]);
    assert.ok(desk.scheduler.idle);
  });

  test('are all taken by clients that ask for one reply each, in the order in which they came', async () => {
    const desk = new Desk(3);
    const ids = ['a', 'b', 'c', 'd', 'e'].flatMap((client) => desk.ask(client));
    assert.deepEqual(desk.started, ids.slice(0, 3));
    assert.deepEqual([desk.places.get(ids[3] as number), desk.places.get(ids[4] as number)], [1, 2]);
    await desk.end(ids[1] as number);
    assert.deepEqual(desk.started, ids.slice(0, 4));
    assert.equal(desk.places.get(ids[4] as number), 1);
  });

  test('one is enough for a client alone', async () => {
    const desk = new Desk(1);
    const [first, second] = desk.ask('a', 2) as [number, number];
    await desk.end(first);
    assert.deepEqual(desk.started, [first, second]);
  });
});

test('until it is started, replies wait and hear their places', () => {
  const told: (readonly [number, number])[] = [];
  const begun: number[] = [];
  const scheduler = new ReplyScheduler<Scheduled>({
    places: 2, write: () => new Promise(() => undefined), onStarted: ({ id }) => begun.push(id), onPlaces: (places) => told.push(...places),
  });
  for (const id of [1, 2]) scheduler.add({ id, client: `client ${id}`, background: false });
  assert.deepEqual([told, begun], [[[1, 1], [2, 2]], []]);
  scheduler.start();
  assert.deepEqual(begun, [1, 2]);
});

describe('a cancelled reply', () => {
  test('leaves the line, or has its signal aborted', () => {
    const desk = new Desk(1);
    const [running, waiting, next] = desk.ask('a', 3) as [number, number, number];
    assert.equal(desk.scheduler.cancel(waiting), true);
    assert.equal(desk.scheduler.cancel(waiting), false);
    assert.equal(desk.places.get(next), 1);
    assert.equal(desk.scheduler.cancel(running), false);
    assert.ok(desk.place(running).signal.aborted && !desk.place(running).givenUp);
    assert.equal(desk.scheduler.cancel(99), false);
  });
});

describe('replies of the background', () => {
  test('are begun while nobody else asks, one prompt at a time, and pause as soon as somebody does', async () => {
    const desk = new Desk();
    const [one, two] = desk.ask('batch', 2, true) as [number, number];
    assert.deepEqual(desk.writing, [one]);
    desk.place(one).hasRead();
    assert.deepEqual(desk.writing, [one, two]);
    desk.place(two).hasRead();
    const [asked] = desk.ask('a') as [number];
    assert.ok(desk.writing.includes(asked));
    let went = false;
    void desk.place(one).pause().then(() => (went = true));
    await setImmediate();
    assert.equal(went, false);
    await desk.end(asked);
    assert.equal(went, true);
    await desk.place(two).pause();
  });

  test('whose prompt is still being read are given up, and begun again as the next of their client', async () => {
    const desk = new Desk();
    const [one, two] = desk.ask('batch', 2, true) as [number, number];
    const [asked] = desk.ask('a') as [number];
    assert.ok(desk.place(one).signal.aborted && desk.place(one).givenUp);
    await desk.end(one);
    assert.deepEqual(desk.writing, [asked]);
    await desk.end(asked);
    assert.deepEqual(desk.writing, [one]);
    assert.ok(!desk.place(one).givenUp);
    assert.deepEqual(desk.started, [one, asked], 'it is told once that it was begun');
    desk.place(one).hasRead();
    assert.ok(desk.writing.includes(two));
  });

  test('that pause can be cancelled, and do not count against a client\'s share', async () => {
    const desk = new Desk(2);
    const [behind] = desk.ask('a', 1, true) as [number];
    desk.place(behind).hasRead();
    const [asked] = desk.ask('a') as [number];
    assert.ok(desk.writing.includes(asked));
    const paused = desk.place(behind).pause();
    assert.equal(desk.scheduler.cancel(behind), false);
    await paused;
    assert.ok(desk.place(behind).signal.aborted && !desk.place(behind).givenUp);
    assert.ok(!desk.scheduler.idle);
    await desk.end(behind);
    await desk.end(asked);
    assert.ok(desk.scheduler.idle);
  });
});
