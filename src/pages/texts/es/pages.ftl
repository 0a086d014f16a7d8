# Páginas que ven las personas. Un mensaje por página: el valor es el título, .what dice qué ha pasado, .do qué hacer,
# .step1 y siguientes son pasos, .link va encima de la dirección. «Workbench» y «Allow» se llaman así en la versión
# inglesa de WeCom: no hay versión española.

-wecom = WeCom

## La petición

bad-address = Esta dirección no funciona
    .what = Está incompleta o contiene caracteres que no se permiten.
    .do = Vaya a la página de inicio o vuelva a abrir la aplicación desde el Workbench de { -wecom }.

unknown-host = Esta no es la dirección de la aplicación
    .what = La aplicación está en una dirección distinta de la que ha usado.
    .do = Abra la aplicación desde el Workbench de { -wecom } o pregunte a su administrador cuál es la dirección correcta.

not-found = Página no encontrada
    .what = No hay ninguna página en esta dirección.
    .do = Vaya a la página de inicio o vuelva a abrir la aplicación desde el Workbench de { -wecom }.

other-application = Esta aplicación no está disponible aquí
    .what = Ha pedido una aplicación distinta de la que corresponde a esta dirección.
    .do = Vaya a la página de inicio o pregunte a su administrador cuál es la dirección de la otra aplicación.

cross-site = Abra usted mismo esta página
    .what = Otro sitio web intentó hacer algo aquí en su nombre. Por su seguridad, se ha impedido.
    .do = Si era usted quien quería hacerlo, vaya a la página de inicio y hágalo allí.

too-large = Demasiados datos
    .what = Lo que ha enviado supera el tamaño que permite esta aplicación.
    .do = Elija un archivo más pequeño o pida al administrador de la aplicación que amplíe el límite.

headers-too-large = La dirección o las cookies son demasiado largas
    .what = La dirección supera la longitud permitida, o este sitio ha guardado demasiadas cookies en su navegador.
    .do = Borre las cookies de este sitio y vuelva a abrir la aplicación.

too-many-requests = Espere un momento
    .what = Ha habido muchos inicios de sesión desde su red en poco tiempo.
    .do = No tiene que hacer nada.

## La sesión

no-session = Inicie sesión
    .what = No ha iniciado sesión.
    .do = Inicie sesión con su cuenta de { -wecom } para continuar.

session-ended = Vuelva a iniciar sesión
    .what = Su sesión ha terminado.
    .do = Inicie sesión de nuevo para seguir donde estaba.

invalid-token = Esta clave de acceso no es válida
    .what = La clave o el token que se envió es incorrecto o ha caducado.
    .do = Inicie sesión con su cuenta de { -wecom } o pida una clave nueva a su administrador.

browser-denied = Abra esta aplicación en { -wecom }
    .what = Su empresa solo permite usar esta aplicación dentro de { -wecom }.
    .step1 = Abra { -wecom } en su teléfono u ordenador.
    .step2 = Vaya a «Workbench».
    .step3 = { $named ->
            [yes] Desplácese hacia abajo y abra «{ $app }».
           *[no] Desplácese hacia abajo y abra la aplicación.
        }
    .link = También puede enviarse este enlace en un chat de { -wecom } y abrirlo allí:

open-in-wecom = Abra esta página en { -wecom }
    .what = Puede iniciar sesión dentro de { -wecom }, pero no en esta aplicación o navegador.
    .step1 = Abra { -wecom } en este dispositivo.
    .step2 = Vaya a «Workbench».
    .step3 = { $named ->
            [yes] Desplácese hacia abajo y abra «{ $app }».
           *[no] Desplácese hacia abajo y abra la aplicación.
        }
    .link = También puede enviarse este enlace en un chat de { -wecom } y abrirlo allí:

signed-out = Ha cerrado la sesión
    .what = Ya puede cerrar esta página.

sign-in = Iniciar sesión
    .what = Inicie sesión con su cuenta de empresa.

logout = ¿Quiere cerrar la sesión?
    .what = Se cerrará su sesión de la aplicación en este dispositivo.

## Inicio de sesión

flow-missing = El inicio de sesión se interrumpió
    .what = Se empezó en otro navegador o ventana, o esta página se abrió por segunda vez.
    .do = Inténtelo de nuevo. Solo tardará un momento.

cookies-blocked = Las cookies están bloqueadas
    .what = No es posible mantener su sesión porque su navegador no guarda las cookies de este sitio.
    .do = Permita las cookies de este sitio, salga de la navegación privada si la usa e inténtelo de nuevo. O abra la aplicación en { -wecom }.

flow-expired = El inicio de sesión tardó demasiado
    .what = Por su seguridad, el inicio de sesión debe completarse en diez minutos.
    .do = Inténtelo de nuevo. Solo tardará un momento.

code-rejected = El inicio de sesión no funcionó
    .what = { -wecom } no confirmó este inicio de sesión. Ocurre cuando una página se abre dos veces o desde el historial.
    .do = Inténtelo de nuevo. Solo tardará un momento.

consent-denied = No ha dado su permiso
    .what = { -wecom } le pregunta una vez si la aplicación puede recibir su número de teléfono para encontrar su cuenta. No se aceptó, o se cerró la página.
    .do = Inténtelo de nuevo y elija «Allow». Si no quiere compartirlo, pida a su administrador que vincule su cuenta.

login-cancelled = Se canceló el inicio de sesión
    .what = { -wecom } no ha dicho a la aplicación quién es usted, porque se canceló el inicio de sesión.
    .do = Inténtelo de nuevo cuando quiera.

login-loop = El inicio de sesión da vueltas sin fin
    .what = Se le ha enviado varias veces a { -wecom } y de vuelta, y la sesión sigue sin iniciarse.
    .do = Cierre esta página y vuelva a abrir la aplicación. Si no ayuda, permita las cookies de este sitio o avise a su administrador.

## El miembro

not-a-member = Usted no pertenece a esta empresa
    .what = Su cuenta de { -wecom } no pertenece a la empresa que gestiona esta aplicación.
    .do = Cambie a la empresa correcta en { -wecom } y vuelva a abrir la aplicación. Si acaba de incorporarse, pida a su administrador que le añada.

other-company = Esta aplicación es de otra empresa
    .what = Ha iniciado sesión en { -wecom } como miembro de una empresa vinculada.
    .do = Cambie en { -wecom } a la empresa que gestiona esta aplicación o pregunte a quien le envió el enlace.

not-visible = Todavía no puede usar esta aplicación
    .what = La aplicación aún no está disponible para usted en { -wecom }.
    .do = Pida a su administrador de { -wecom } que le añada a usted, o a su departamento, al ámbito visible de la aplicación. Después, inténtelo de nuevo.

member-disabled = Su cuenta no está activa
    .what = Su cuenta de { -wecom } está desactivada o aún no se ha activado.
    .do = Si { -wecom } se lo pide, active allí su cuenta. Si no, pida a su administrador de { -wecom } que la habilite.

not-allowed = No tiene acceso a esta aplicación
    .what = Solo pueden usarla determinados departamentos o personas, y usted no está entre ellos.
    .do = Pida acceso al administrador de la aplicación. Después, inténtelo de nuevo.

## La cuenta

first-time-in-wecom = Inicie sesión una vez dentro de { -wecom }
    .what = La primera vez, la aplicación necesita su número de teléfono de { -wecom }, y eso solo funciona dentro de { -wecom }. Después también podrá iniciar sesión aquí.
    .step1 = Abra { -wecom } en su teléfono.
    .step2 = Toque «Workbench» y desplácese hacia abajo.
    .step3 = { $named ->
            [yes] Toque «{ $app }» y elija «Allow» si se le pregunta.
           *[no] Toque la aplicación y elija «Allow» si se le pregunta.
        }
    .link = También puede enviarse este enlace en un chat de { -wecom } y tocarlo allí:

nothing-to-match = No se encontró su cuenta
    .what = { -wecom } no comunicó a la aplicación su número de teléfono ni su correo electrónico, así que no puede saber cuál es su cuenta.
    .do = Compruebe en { -wecom } que su perfil tiene un número de teléfono, inténtelo de nuevo y elija «Allow». Si no ayuda, pida a su administrador que vincule su cuenta.

no-matching-user = Todavía no tiene una cuenta aquí
    .what = Ninguna cuenta de esta aplicación coincide con su perfil de { -wecom }.
    .do = Pida al administrador de la aplicación que cree una cuenta con el número de teléfono de su perfil de { -wecom }. Después, inténtelo de nuevo.

ambiguous-user = Varias cuentas podrían ser la suya
    .what = Más de una cuenta de esta aplicación coincide con su perfil de { -wecom }, así que no se eligió ninguna.
    .do = Pida al administrador de la aplicación que corrija las cuentas e indíquele el código de abajo.

already-bound = Esta cuenta es de otra persona
    .what = La cuenta que coincide con su perfil de { -wecom } ya está vinculada a otro miembro.
    .do = Pida al administrador de la aplicación que revise el vínculo e indíquele el código de abajo.

password-rejected = Esta cuenta no se ha vinculado
    .what = La aplicación no aceptó esta cuenta y contraseña.
    .do = Compruebe ambas e inténtelo de nuevo. Si ha olvidado la contraseña, pregunte al administrador de la aplicación.

link-denied = Esta cuenta no se puede vincular aquí
    .what = Por seguridad, las cuentas de administradores no se vinculan con una contraseña.
    .do = Pida al administrador de la aplicación que vincule su cuenta e indíquele el código de abajo.

no-role = Su cuenta no tiene ningún rol
    .what = La aplicación no deja entrar a nadie sin rol, y su cuenta no tiene ninguno.
    .do = Pida al administrador de la aplicación que asigne un rol a su cuenta. Después, inténtelo de nuevo.

## Problemas

setup = El inicio de sesión no está bien configurado
    .what = No es culpa suya, y no puede arreglarlo usted.
    .do = Avise al administrador de la aplicación e indíquele el código de abajo.

wecom-unreachable = No se puede conectar con { -wecom }
    .what = La aplicación no pudo preguntar a { -wecom } quién es usted.
    .do = Inténtelo de nuevo dentro de un momento. Si continúa, avise al administrador de la aplicación.

wecom-busy = { -wecom } está ocupado
    .what = { -wecom } está atendiendo demasiadas peticiones en este momento.
    .do = Espere un momento. Si continúa, avise al administrador de la aplicación.

app-unreachable = No se puede conectar con la aplicación
    .what = Puede que se esté reiniciando o actualizando.
    .do = Espere un momento. Si continúa, avise al administrador de la aplicación.

maintenance = Volvemos pronto
    .what = La aplicación está cerrada por mantenimiento.

app-starting = La aplicación se está iniciando
    .what = Suele tardar menos de un minuto.

app-slow = La aplicación tarda demasiado en responder
    .what = Puede que esté muy ocupada en este momento.
    .do = Inténtelo de nuevo dentro de un momento. Si continúa, avise al administrador de la aplicación.

internal = Algo ha fallado
    .what = La aplicación no pudo hacer lo que pidió. No es culpa suya.
    .do = Inténtelo de nuevo. Si continúa, avise al administrador de la aplicación e indíquele el código de abajo.
