/** Numbers by name. A name whose number is nought takes no memory. */
export class Tally {
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    return this.#numbers.get(name) ?? 0;
  }

  add(name: string, by: number): void {
    const number = this.of(name) + by;
    if (number > 0) this.#numbers.set(name, number);
    else this.#numbers.delete(name);
  }
}
