// The part of the library that the page uses.
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function render(tree: unknown, parent: Element): void;
export function h(type: unknown, props?: object | null, ...children: unknown[]): any;
export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export function useEffect(effect: () => void | (() => unknown) | undefined, inputs?: unknown[]): void;
export function useLayoutEffect(effect: () => void | (() => unknown) | undefined, inputs?: unknown[]): void;
export function useRef<T>(initial: T): { current: T };
export function useMemo<T>(make: () => T, inputs?: unknown[]): T;
export function useCallback<T>(callback: T, inputs?: unknown[]): T;
