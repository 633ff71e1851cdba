/** Making and changing elements. Data becomes text and never markup; what has not changed is not touched. */

export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`expected an element with the id ${id}, got none`);
  return found as Kind;
}

/** A child that is undefined is left out. */
type Child = Node | string | undefined;

/** An element with classes, as in `make('td.id', 'text')`. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  kind: Name | `${Name}.${string}`,
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const [name, ...classes] = kind.split('.') as [Name, ...string[]];
  const element = document.createElement(name);
  element.classList.add(...classes);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Sets the text of an element where it is another one. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export interface Cell {
  text: string;
  /** Classes, with spaces between them. */
  kind?: string;
  /** Instead of text: a bar of this share, 0 to 1. */
  bar?: number;
}

/** A table whose cells are changed in place, so that a reader's place and selection in it stay. */
export class LiveTable {
  readonly #host: HTMLElement;
  readonly #table: HTMLTableElement;
  readonly #body: HTMLTableSectionElement;
  readonly #empty: HTMLParagraphElement;

  constructor(host: HTMLElement, caption: string, columns: readonly string[], empty = '') {
    this.#host = host;
    const head = columns.map((title) => {
      const cell = make('th', title === '' ? make('span.hidden', 'Bar') : title);
      cell.scope = 'col';
      return cell;
    });
    this.#body = make('tbody');
    this.#table = make('table', make('caption.hidden', caption), make('thead', make('tr', ...head)), this.#body);
    this.#empty = make('p.empty', empty);
    host.replaceChildren(this.#empty);
  }

  /** Shows these rows; the first cell of each is its heading. */
  show(rows: readonly (readonly Cell[])[]): void {
    const wanted = rows.length === 0 ? this.#empty : this.#table;
    if (this.#host.firstElementChild !== wanted) this.#host.replaceChildren(wanted);
    while (this.#body.rows.length > rows.length) this.#body.deleteRow(-1);
    rows.forEach((cells, index) => {
      const row = this.#body.rows[index] ?? this.#body.appendChild(make('tr', ...cells.map(emptyCell)));
      cells.forEach((cell, at) => {
        showCell(row.cells[at]!, cell);
      });
    });
  }
}

function emptyCell(_cell: Cell, index: number): HTMLTableCellElement {
  if (index > 0) return make('td');
  const heading = make('th');
  heading.scope = 'row';
  return heading;
}

function showCell(element: HTMLElement, { text, kind = '', bar }: Cell): void {
  if (element.className !== kind) element.className = kind;
  if (bar === undefined) {
    setText(element, text);
    return;
  }
  element.firstElementChild ?? element.append(barOf());
  setBar(element.firstElementChild as HTMLElement, bar);
}

/** A bar beside a figure, which says the same: it is not read out. */
function barOf(): HTMLElement {
  const bar = make('span.track', make('span'));
  bar.setAttribute('aria-hidden', 'true');
  return bar;
}

function setBar(bar: HTMLElement, share: number): void {
  const bounded = Math.min(1, Math.max(0, share));
  bar.classList.toggle('full', bounded >= 0.9);
  (bar.firstElementChild as HTMLElement).style.width = `${(bounded * 100).toFixed(1)}%`;
}

/** A list of terms, in which only what has changed is written. */
export function showTerms(host: HTMLElement, terms: readonly (readonly [string, string])[]): void {
  let list = host.querySelector('dl');
  if (list === null || list.children.length !== terms.length * 2) {
    list = make('dl.terms', ...terms.flatMap(() => [make('dt'), make('dd')]));
    host.replaceChildren(list);
  }
  terms.forEach(([term, text], index) => {
    setText(list.children[index * 2]!, term);
    setText(list.children[index * 2 + 1]!, text);
  });
}
