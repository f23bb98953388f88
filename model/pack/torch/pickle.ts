/**
 * A restricted unpickler. A pickle is a program for a small stack machine that can call any Python function; this machine
 * knows plain data and the few names in `values.ts` that make tensors, and refuses every other name before anything is done
 * with it. Opcodes are those of CPython's pickletools that torch.save writes, in protocols 2 to 4, and their older forms.
 */
import { MAX_INTEGER_BYTES, MAX_VALUES } from './limits.js';
import { Dict, type Global, globalNamed, isSize, reduce, type PickleValue, type Storage } from './values.js';

type Fail = (reason: string) => never;

export interface Unpickled {
  readonly value: PickleValue;
  /** Position after the pickle. */
  readonly end: number;
}

/** Makes what the pickle at `start` says. `fail` throws the format's error. */
export function unpickle(bytes: Uint8Array, start: number, fail: Fail): Unpickled {
  return new Machine(bytes, start, fail).run();
}

const OP = {
  mark: 0x28, stop: 0x2e, pop: 0x30, popMark: 0x31, binInt: 0x4a, binInt1: 0x4b, binInt2: 0x4d, none: 0x4e, binPersId: 0x51, reduce: 0x52,
  binString: 0x54, shortBinString: 0x55, binUnicode: 0x58, append: 0x61, build: 0x62, global: 0x63, appends: 0x65, binGet: 0x68,
  longBinGet: 0x6a, binPut: 0x71, longBinPut: 0x72, setItem: 0x73, tuple: 0x74, setItems: 0x75, emptyList: 0x5d, emptyTuple: 0x29,
  emptyDict: 0x7d, binFloat: 0x47, proto: 0x80, tuple1: 0x85, tuple2: 0x86, tuple3: 0x87, newTrue: 0x88, newFalse: 0x89, long1: 0x8a,
  long4: 0x8b, shortBinUnicode: 0x8c, binUnicode8: 0x8d, stackGlobal: 0x93, memoize: 0x94, frame: 0x95,
} as const;
const MAX_PROTOCOL = 5;

class Machine {
  private readonly view: DataView;
  private at: number;
  private readonly stack: PickleValue[] = [];
  /** Heights of the stack where a mark was set. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private made = 0;

  constructor(
    private readonly bytes: Uint8Array,
    start: number,
    private readonly fail: Fail,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
  }

  run(): Unpickled {
    for (;;) {
      const op = this.bytes[this.take(1)] as number;
      if (op === OP.stop) return { value: this.pop(), end: this.at };
      this.step(op);
    }
  }

  private step(op: number): void {
    switch (op) {
      case OP.proto: {
        const protocol = this.uint8();
        if (protocol > MAX_PROTOCOL) this.fail(`its pickle has protocol ${protocol}; up to ${MAX_PROTOCOL} are known`);
        return;
      }
      case OP.frame: return void this.take(8);
      case OP.none: return this.push(null);
      case OP.newTrue: return this.push(true);
      case OP.newFalse: return this.push(false);
      case OP.binInt: return this.push(this.view.getInt32(this.take(4), true));
      case OP.binInt1: return this.push(this.uint8());
      case OP.binInt2: return this.push(this.view.getUint16(this.take(2), true));
      case OP.long1: return this.push(this.integer(this.uint8()));
      case OP.long4: return this.push(this.integer(this.uint32()));
      case OP.binFloat: return this.push(this.view.getFloat64(this.take(8), false));
      case OP.shortBinString: case OP.shortBinUnicode: return this.push(this.text(this.uint8()));
      case OP.binString: case OP.binUnicode: return this.push(this.text(this.uint32()));
      case OP.binUnicode8: return this.push(this.text(Number(this.view.getBigUint64(this.take(8), true))));
      case OP.emptyTuple: case OP.emptyList: return this.push([]);
      case OP.emptyDict: return this.push(new Dict());
      case OP.mark: return this.mark();
      case OP.pop: return void this.pop();
      case OP.popMark: return void this.popToMark();
      case OP.tuple: return this.push(this.popToMark());
      case OP.tuple1: return this.push(this.popMany(1));
      case OP.tuple2: return this.push(this.popMany(2));
      case OP.tuple3: return this.push(this.popMany(3));
      case OP.append: return this.append(this.popMany(1));
      case OP.appends: return this.append(this.popToMark());
      case OP.setItem: return this.setItems(this.popMany(2));
      case OP.setItems: return this.setItems(this.popToMark());
      case OP.binPut: return this.remember(this.uint8());
      case OP.longBinPut: return this.remember(this.uint32());
      case OP.memoize: return this.remember(this.memo.size);
      case OP.binGet: return this.recall(this.uint8());
      case OP.longBinGet: return this.recall(this.uint32());
      case OP.global: return this.push(this.global(this.line(), this.line()));
      case OP.stackGlobal: {
        const [module, name] = this.popMany(2);
        return this.push(this.global(this.string(module), this.string(name)));
      }
      case OP.binPersId: return this.push(this.storage(this.pop()));
      case OP.reduce: {
        const [callable, args] = this.popMany(2);
        return this.push(reduce(callable as PickleValue, args as PickleValue, this.fail));
      }
      case OP.build: {
        // An OrderedDict of parameters carries version numbers of its modules as an attribute: not needed.
        this.pop();
        if (!(this.top() instanceof Dict)) this.fail('its pickle sets attributes of something that is not a dictionary');
        return;
      }
      default: return this.fail(`its pickle has the operation 0x${op.toString(16).padStart(2, '0')}, which data of tensors does not need`);
    }
  }

  private global(module: string, name: string): Global {
    const found = globalNamed(module, name);
    if (found !== null) return found;
    return this.fail(`its pickle asks for the Python object ${JSON.stringify(`${module}.${name}`)}; only tensors, dictionaries, lists, numbers and texts are read`);
  }

  /** A storage from its persistent identifier: ('storage', type, key, device, elements) and, in the old format, a view of another. */
  private storage(identifier: PickleValue): Storage {
    const [kind, type, key, , elements, view] = Array.isArray(identifier) ? identifier : [];
    const typeName = typeof type === 'object' && type !== null && 'storage' in type ? type.storage : null;
    if (kind !== 'storage' || typeof typeName !== 'string' || typeof key !== 'string' || !isSize(elements)) {
      return this.fail('its pickle names a storage in an unknown way');
    }
    if (view !== undefined && view !== null) return this.fail('its pickle has a storage that is a part of another one, as PyTorch before 0.4 wrote them');
    return { kind: 'storage', type: typeName, key, elements };
  }

  private append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return this.fail('its pickle appends to something that is not a list');
    for (const item of items) list.push(item);
  }

  private setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Dict) || items.length % 2 !== 0) return this.fail('its pickle sets items of something that is not a dictionary');
    for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i] as PickleValue, items[i + 1] as PickleValue);
  }

  private remember(index: number): void {
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) return this.fail(`its pickle recalls value ${index}, which it never kept`);
    this.push(value);
  }

  private push(value: PickleValue): void {
    if (++this.made > MAX_VALUES) this.fail(`its pickle makes more than ${MAX_VALUES} values`);
    this.stack.push(value);
  }

  private mark(): void {
    if (this.marks.length >= MAX_VALUES) this.fail(`its pickle sets more than ${MAX_VALUES} marks`);
    this.marks.push(this.stack.length);
  }

  private top(): PickleValue {
    const value = this.stack.at(-1);
    return value === undefined ? this.fail('its pickle takes more from the stack than there is') : value;
  }

  private pop(): PickleValue {
    return this.popMany(1)[0] as PickleValue;
  }

  private popMany(count: number): PickleValue[] {
    const from = this.stack.length - count;
    // Below a mark lie the items of something else.
    if (from < (this.marks.at(-1) ?? 0)) this.fail('its pickle takes more from the stack than there is');
    return this.stack.splice(from);
  }

  private popToMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) return this.fail('its pickle takes more from the stack than there is');
    return this.stack.splice(mark);
  }

  /** The position of `count` bytes, which are then passed. */
  private take(count: number): number {
    const at = this.at;
    if (count > this.bytes.byteLength - at) this.fail('its pickle ends too early: was it cut short?');
    this.at = at + count;
    return at;
  }

  private uint8(): number {
    return this.view.getUint8(this.take(1));
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** A two's complement whole number of `size` bytes; inexact beyond 2^53, where only the old format's magic number is. */
  private integer(size: number): number {
    if (size > MAX_INTEGER_BYTES) this.fail(`its pickle has a whole number of ${size} bytes`);
    const at = this.take(size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[at + i] as number);
    return Number(BigInt.asIntN(8 * size, value));
  }

  private text(size: number): string {
    const at = this.take(size);
    return new TextDecoder().decode(this.bytes.subarray(at, at + size));
  }

  private string(value: PickleValue | undefined): string {
    return typeof value === 'string' ? value : this.fail('its pickle names a Python object by something that is not a text');
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) return this.fail('its pickle ends too early: was it cut short?');
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }
}
