/** A line of the last minute, as SVG. It is redrawn each second, and says in words what it shows. */
const SECONDS = 60;
const WIDTH = 640;
const HEIGHT = 180;
const SVG = 'http://www.w3.org/2000/svg';

export class Chart {
  #values = new Array(SECONDS).fill(0);
  #area;
  #curve;
  #label;
  #text;

  constructor(svg) {
    const add = (name, attributes) => {
      const element = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return svg.appendChild(element);
    };
    for (const y of [0.5, HEIGHT / 2, HEIGHT - 0.5]) add('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y, y2: y });
    this.#area = add('path', { class: 'area' });
    this.#curve = add('path', { class: 'curve' });
    this.#label = add('text', { x: 4, y: 16 });
    this.#text = svg.querySelector('title');
  }

  /** Adds the figure of one second. */
  push(value) {
    this.#values = [...this.#values.slice(1), value];
    const highest = niceAbove(Math.max(...this.#values));
    const x = (index) => ((index / (SECONDS - 1)) * WIDTH).toFixed(1);
    const y = (at) => (HEIGHT - (at / highest) * (HEIGHT - 24)).toFixed(1);
    const points = this.#values.map((at, index) => `${x(index)},${y(at)}`).join(' L');
    this.#curve.setAttribute('d', `M${points}`);
    this.#area.setAttribute('d', `M0,${HEIGHT} L${points} L${WIDTH},${HEIGHT} Z`);
    this.#label.textContent = `${highest.toLocaleString('en')} / s`;
    this.#text.textContent = `${value} in the last second, at most ${Math.max(...this.#values)} in the last minute.`;
  }
}

/** 10, 20, 50, 100, 200 … */
function niceAbove(value) {
  let step = 10;
  for (const factor = [2, 2.5, 2]; step < value; factor.push(factor.shift())) step *= factor[0];
  return step;
}
