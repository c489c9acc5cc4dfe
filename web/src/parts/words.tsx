/** A text with the few marks of `data/marked`: code and links. */

import { inlines } from "../data/marked";
import { href } from "../router";

export function Words({ text }: { text: string }) {
  return (
    <>
      {inlines(text).map((one, i) => {
        if (typeof one === "string") return one;
        if ("code" in one) return <code key={i}>{one.code}</code>;
        const [path = "", tab] = one.link.split("?tab=");
        return (
          <a key={i} href={href(path, tab === undefined ? {} : { tab })}>
            {one.words}
          </a>
        );
      })}
    </>
  );
}
