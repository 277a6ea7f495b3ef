// Mantine's links and buttons as links inside the console, with the router's knowledge of addresses.

import { Anchor, type AnchorProps, Button, type ButtonProps } from '@mantine/core'
import { createLink, type LinkComponent } from '@tanstack/react-router'
import type { AnchorHTMLAttributes, Ref } from 'react'

type Native = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof AnchorProps | keyof ButtonProps>

function PlainAnchor(props: AnchorProps & Native & { ref?: Ref<HTMLAnchorElement> }) {
  return <Anchor {...props} />
}

function PlainButton(props: ButtonProps & Native & { ref?: Ref<HTMLAnchorElement> }) {
  return <Button component="a" {...props} />
}

export const AnchorLink: LinkComponent<typeof PlainAnchor> = createLink(PlainAnchor)
export const ButtonLink: LinkComponent<typeof PlainButton> = createLink(PlainButton)
