/** The help, read from the program itself: no request leaves the host for it. */

import { blocks, type Block } from "../../data/marked";
import { Command } from "../../parts/command";
import { Words } from "../../parts/words";
import { href } from "../../router";
import { helpPages, shell } from "../../text";
import type { PageProps } from "../index";

export function HelpPage({ params }: PageProps) {
  const page = helpPages.find((one) => one.id === (params["doc"] ?? helpPages[0]?.id));
  return (
    <div class="page help">
      <h1>{shell.titles.help}</h1>
      <nav aria-label={shell.titles.help}>
        <ul>
          {helpPages.map((one) => (
            <li key={one.id}>
              <a href={href(`/help/${one.id}`)} aria-current={one === page ? "page" : undefined}>
                {one.title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <article class="card prose">
        <h2>{page?.title ?? shell.noPage}</h2>
        {page && blocks(page.text).map((block, i) => <Drawn key={i} block={block} title={page.title} />)}
      </article>
    </div>
  );
}

function Drawn({ block, title }: { block: Block; title: string }) {
  switch (block.kind) {
    case "heading":
      return <h3>{block.text}</h3>;
    case "lines":
      return <Command text={block.text} label={title} />;
    case "items":
      return (
        <ul>
          {block.items.map((item, i) => (
            <li key={i}>
              <Words text={item} />
            </li>
          ))}
        </ul>
      );
    default:
      return (
        <p>
          <Words text={block.text} />
        </p>
      );
  }
}
